/** Reads a dehydrated image in order, and decompresses it. */

import type { ByteSource } from '../../api/device.js';
import type { Openable } from '../../api/openable.js';
import { onAbort } from '../../engine/async/on-abort.js';
import { isBytes } from '../../engine/async/request-buffers.js';
import { corruptContainer } from '../../format/dehydrated.js';
import { isQcow2 } from '../../format/header.js';
import { isByteSource, sourceOf } from '../../sources/openable.js';

/** Bytes of a source that are read at once. */
const READ_BYTES = 256 * 1024;
/** Bytes that the decompressor gets at once: it may keep a thousand times as many until they are read. */
const PIECE_BYTES = 8 * 1024;
/** Bytes that tell whether a file is a qcow2 image: magic and version. */
const PROBE_BYTES = 8;

type Input = ReadableStreamDefaultReader<Uint8Array>;

/** The decompressed bytes of a file, one after another. */
export class DehydratedFile {
  /** The offset of the next byte in the decompressed file. */
  at = 0;
  readonly #input: Input;
  readonly #output: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  /** Ends when all of the input was decompressed. */
  readonly #feeding: Promise<void>;
  readonly #ignoreAbort: () => void;
  /** What the input threw, or why it was aborted. */
  #failure: { readonly reason: unknown } | null = null;
  #chunk = new Uint8Array(0);

  private constructor(input: Input, signal: AbortSignal | undefined) {
    this.#input = input;
    const gunzip = new DecompressionStream('gzip');
    this.#output = gunzip.readable.getReader();
    const cancel = () => {
      this.#failure ??= { reason: signal?.reason };
      input.cancel(signal?.reason).catch(() => {});
      this.#output.cancel(signal?.reason).catch(() => {});
    };
    this.#ignoreAbort = signal === undefined ? () => {} : onAbort(signal, cancel);
    this.#feeding = this.#feed(gunzip.writable.getWriter());
    this.#feeding.catch(() => {});
  }

  /** @throws TypeError when `from` is neither openable nor a stream, or is a stream that is locked. */
  static async open(
    from: Openable | ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<DehydratedFile> {
    if (isStream(from)) return new DehydratedFile(from.getReader(), signal);
    const source = await sourceOf(from, signal);
    return new DehydratedFile(streamOf(source, isByteSource(from), signal).getReader(), signal);
  }

  /**
   * The next `length` bytes.
   *
   * @throws {@link Qcow2Error} `corrupt` when the file ends before, or cannot be decompressed; what the input throws.
   */
  async take(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      if (await this.ended()) throw corruptContainer('end', this.at, 'The dehydrated image is cut short.');
      const part = this.#chunk.subarray(0, length - done);
      bytes.set(part, done);
      done += part.length;
      this.at += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return bytes;
  }

  /** True at the end of the file. Throws as {@link take} does. */
  async ended(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#output.read().catch((cause: unknown) => this.#fail(cause));
      if (this.#failure !== null) throw this.#failure.reason;
      if (next.done) return true;
      this.#chunk = next.value;
    }
    return false;
  }

  /** Releases the input, which was read to its end. */
  async close(): Promise<void> {
    this.#ignoreAbort();
    await this.#feeding;
    this.#input.releaseLock();
  }

  /** Cancels the input, and releases it. */
  async cancel(reason: unknown): Promise<void> {
    this.#ignoreAbort();
    // It may have failed itself, or take any time to end.
    this.#input.cancel(reason).catch(() => {});
    this.#output.cancel(reason).catch(() => {});
    await this.#feeding.catch(() => {});
    this.#input.releaseLock();
  }

  async #feed(decompressor: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    let next = await this.#first();
    while (next !== null) {
      for (let from = 0; from < next.length; from += PIECE_BYTES) {
        // A copy, because the decompressor refuses shared memory.
        await decompressor.write(Uint8Array.prototype.slice.call(next, from, from + PIECE_BYTES));
      }
      next = await this.#next();
    }
    return this.#failure === null ? decompressor.close() : decompressor.abort(this.#failure.reason);
  }

  /** The first bytes of the input, enough to tell an image from a dehydrated one; null as {@link #next}. */
  async #first(): Promise<Uint8Array | null> {
    let head = await this.#next();
    while (head !== null && head.length < PROBE_BYTES) {
      const next = await this.#next();
      if (next === null) break;
      head = joined(head, next);
    }
    if (head === null || !isQcow2(head)) return this.#failure === null ? head : null;
    const message = 'This is a qcow2 image, not a dehydrated file. Open it as it is.';
    this.#failure ??= { reason: corruptContainer('compressed form', 0, message) };
    return null;
  }

  /** The next bytes of the input; null at its end, or with what is wrong with it in `#failure`. */
  async #next(): Promise<Uint8Array | null> {
    const next = await this.#input.read().catch((reason: unknown) => {
      this.#failure ??= { reason };
      return null;
    });
    if (next !== null && !next.done && !isBytes(next.value)) {
      this.#failure ??= { reason: new TypeError('A dehydrated image is a stream of Uint8Arrays.') };
    }
    return this.#failure !== null || next === null || next.done ? null : next.value;
  }

  /** What is wrong with the input comes before what that does to the decompressor. */
  #fail(cause: unknown): never {
    if (this.#failure !== null) throw this.#failure.reason;
    throw corruptContainer('compressed form', this.at, 'The dehydrated image cannot be decompressed.', cause);
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

/** Cancels the input of a request that is refused before the input is opened, if it is a stream. */
export function cancelUnread(from: unknown, reason: unknown): void {
  if (isStream(from) && !from.locked) from.cancel(reason).catch(() => {});
}

function isStream(from: unknown): from is ReadableStream<Uint8Array> {
  return typeof (from as Partial<ReadableStream<Uint8Array>> | null)?.getReader === 'function';
}

/** The bytes of a source in order. At the end it is closed, unless the caller keeps it. */
function streamOf(
  source: ByteSource,
  keptByCaller: boolean,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  let at = 0;
  const close = async (): Promise<void> => {
    if (!keptByCaller) await source.close?.();
  };
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    const bytes = new Uint8Array(Math.min(READ_BYTES, source.size - at));
    if (bytes.length > 0) {
      await source.read([{ at, bytes }], signal);
      at += bytes.length;
      controller.enqueue(bytes);
      return;
    }
    await close();
    controller.close();
  };
  return new ReadableStream<Uint8Array>({ pull, cancel: close }, { highWaterMark: 0 });
}
