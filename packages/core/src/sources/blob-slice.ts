/**
 * Reads one slice of a Blob. A large slice is read as a stream, and each chunk's memory is released before the next:
 * `arrayBuffer` would need the memory of the whole slice. Not with a BYOB reader: on a Blob's stream it sometimes
 * stalls for ever in Chromium (docs/decisions/0004).
 */
import { releaseBuffer } from '../engine/async/release-buffer.js';

/** From this length on slices are read as a stream, bytes. */
const STREAMED = 256 * 1024;

/**
 * Passes the bytes of `[start, end)` to `deliver`, in order, each chunk with its offset from `start`. The chunk is
 * invalid after `deliver` returns.
 *
 * @returns the number of bytes read: fewer than requested when the file has become shorter
 * @throws what the platform throws
 */
export async function readSlice(
  blob: Blob,
  start: number,
  end: number,
  deliver: (from: number, bytes: Uint8Array) => void,
): Promise<number> {
  const slice = blob.slice(start, end);
  if (end - start < STREAMED) {
    const bytes = new Uint8Array(await slice.arrayBuffer());
    deliver(0, bytes);
    const { length } = bytes;
    releaseBuffer(bytes);
    return length;
  }
  const reader = slice.stream().getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return at;
    deliver(at, value);
    at += value.length;
    releaseBuffer(value);
  }
}
