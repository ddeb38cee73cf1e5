/** The page's side of an import from a stream: delivers its chunks one at a time, as the worker requests them. */
import { isBytes, lengthOf } from 'qcow2/internal';

/** The chunks of a stream, which stays locked until it is cancelled or released. */
export interface StreamPull {
  /** The next chunk, in its own transferable buffer; null at the end. */
  pull(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Cancels the stream and releases its lock. Does not wait for its source, which may take any time to end. */
  cancel(reason: unknown): void;
  /** Releases the lock of the stream, which has been read to its end. */
  release(): void;
}

/** @throws TypeError when the stream is locked */
export function streamPull(stream: ReadableStream<Uint8Array>): StreamPull {
  const reader = stream.getReader();
  return {
    async pull() {
      const { done, value } = await reader.read();
      if (done) return null;
      if (!isBytes(value)) throw new TypeError('import() takes a stream of Uint8Arrays.');
      lengthOf(value, 'A chunk of the stream');
      // The source may have other views of the chunk's buffer. A Buffer's own `slice` would be one more.
      return Uint8Array.prototype.slice.call(value) as Uint8Array<ArrayBuffer>;
    },
    cancel(reason) {
      // A stream that failed rejects with its error again.
      reader.cancel(reason).catch(() => {});
      reader.releaseLock();
    },
    release: () => reader.releaseLock(),
  };
}
