/** Owns the page's end of an import from a stream: its chunks, one at a time, as the worker asks for them. */
import { isBytes, lengthOf } from 'qcow2/internal';

/** The chunks of a stream. Nothing else can read it until it is cancelled or released. */
export interface StreamPull {
  /** The next chunk, in a buffer of its own that can be transferred; null at the end. */
  pull(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Cancels the stream and lets go of it. Does not wait for its source, which may take any time to end. */
  cancel(reason: unknown): void;
  /** Lets go of the stream, which has been read to its end. */
  release(): void;
}

/** @throws TypeError when somebody reads the stream already */
export function streamPull(stream: ReadableStream<Uint8Array>): StreamPull {
  const reader = stream.getReader();
  return {
    async pull() {
      const { done, value } = await reader.read();
      if (done) return null;
      if (!isBytes(value)) throw new TypeError('import() takes a stream of Uint8Arrays.');
      lengthOf(value, 'A chunk of the stream');
      // Whoever made the chunk may still have other views of its buffer. The `slice` of a Buffer would be one.
      return Uint8Array.prototype.slice.call(value) as Uint8Array<ArrayBuffer>;
    },
    cancel(reason) {
      // A stream that failed says so again.
      reader.cancel(reason).catch(() => {});
      reader.releaseLock();
    },
    release: () => reader.releaseLock(),
  };
}
