/** A stream whose source is loaded when it is first read. */

/** What a stream reads from. */
export interface StreamSource {
  pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void>;
  cancel(reason: unknown): Promise<void>;
}

/** A stream of what `load` resolves with. Nothing is loaded before the first read. */
export function lazyStream(load: () => Promise<StreamSource>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let source: Promise<StreamSource> | undefined;
  const pull: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>['pull'] = async (controller) => {
    source ??= load();
    return (await source).pull(controller);
  };
  const cancel = async (reason: unknown) => (await source)?.cancel(reason);
  return new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
}
