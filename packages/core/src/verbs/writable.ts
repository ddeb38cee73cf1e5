/** A stream that takes chunks of any size, and writes whole clusters. */
import { isBytes, lengthOf, requireIntact } from '../engine/async/request-buffers.js';

/** Bytes that are gathered before a write: a multiple of every cluster size up to it. */
const GATHER_BYTES = 2 * 1024 * 1024;

/** The disk that the stream writes to. */
export interface WritableTarget {
  write(offset: number, bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
}

/** A stream that writes its chunks to `target`, from the guest offset `start` on. */
export function writableOf(target: WritableTarget, start: number): WritableStream<Uint8Array> {
  const gathered = new Uint8Array(GATHER_BYTES);
  let length = 0;
  let at = start;
  const put = async (bytes: Uint8Array): Promise<void> => {
    await target.write(at, bytes);
    at += bytes.length;
  };
  /** Bytes up to the next multiple of the gathered length. */
  const space = (): number => GATHER_BYTES - ((at + length) % GATHER_BYTES);
  const empty = async (): Promise<void> => {
    const bytes = gathered.subarray(0, length);
    length = 0;
    if (bytes.length > 0) await put(bytes);
  };
  return new WritableStream<Uint8Array>({
    async write(chunk) {
      if (!isBytes(chunk)) throw new TypeError('The chunks of a disk must be Uint8Arrays.');
      const total = lengthOf(chunk, 'The chunk');
      for (let from = 0; from < total; ) {
        requireIntact(chunk, total, 'The chunk');
        const part = chunk.subarray(from, Math.min(total, from + space()));
        from += part.length;
        if (length === 0 && part.length === GATHER_BYTES) {
          await put(part);
          continue;
        }
        gathered.set(part, length);
        length += part.length;
        if ((at + length) % GATHER_BYTES === 0) await empty();
      }
    },
    async close() {
      await empty();
      await target.flush();
    },
  });
}
