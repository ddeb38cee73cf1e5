/** Owns how tests look at what promises and streams come to. */
import { isQcow2Error } from 'qcow2';

/** The code that a promise rejects with; else what it rejects with, in words, or "fulfilled". */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'fulfilled',
    (error: unknown) => (isQcow2Error(error) ? error.code : String(error)),
  );
}

/** What a promise rejects with. */
export function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('the promise was fulfilled');
    },
    (error: unknown) => error,
  );
}

/** All bytes of a stream. A Response would put an error of its own in place of the stream's. */
export async function drain(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(chunks).arrayBuffer());
    chunks.push(value);
  }
}

/** A stream of those bytes in chunks of that length, which counts what it gave and keeps why it was cancelled. */
export function chunked(
  bytes: Uint8Array<ArrayBuffer>,
  length: number,
): { stream: ReadableStream<Uint8Array<ArrayBuffer>>; state: { given: number; cancelled: unknown } } {
  const state = { given: 0, cancelled: undefined as unknown };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        if (state.given >= bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(state.given, state.given + length));
        state.given = Math.min(bytes.length, state.given + length);
      },
      cancel(reason) {
        state.cancelled = reason;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, state };
}

/** A stream that gives those bytes and then nothing, without an end; keeps why it was cancelled. */
export function stalling(bytes: Uint8Array<ArrayBuffer>): {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  state: { cancelled: unknown };
} {
  const state = { cancelled: undefined as unknown };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => controller.enqueue(bytes),
    pull: () => new Promise(() => {}),
    cancel(reason) {
      state.cancelled = reason;
    },
  });
  return { stream, state };
}
