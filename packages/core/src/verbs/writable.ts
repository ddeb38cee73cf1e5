/** A stream that takes chunks of any size, and writes whole clusters. */
import type { WritableOptions } from '../api/disk.js';
import { requireOptions } from '../arguments.js';
import { lengthOf, requireIntact } from '../engine/async/request-buffers.js';
import { requireInside } from '../engine/mapping/guest-range.js';

/** Bytes that are gathered before a write: a multiple of every cluster size up to it. */
const GATHER_BYTES = 2 * 1024 * 1024;

/** The disk that the stream writes to. */
export interface WritableTarget {
  write(offset: number, bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
}

/**
 * The start of a stream in its options, on a disk of `size` bytes.
 *
 * @throws TypeError for options that are not an object; as {@link requireInside} does.
 */
export function startIn(options: WritableOptions | undefined, size: number): number {
  requireOptions(options);
  const { start = 0 } = options ?? {};
  requireInside(start, 0, size, 'start');
  return start;
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
