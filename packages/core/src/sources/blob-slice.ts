/**
 * Reads slices of a Blob. A large slice is read as a stream, and each chunk's memory is released before the next:
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

/**
 * Reads several short ranges as one Blob that is made of their slices, and passes the bytes of each to `deliver`. They
 * are invalid after `deliver` returns. In Chromium this takes two thirds of the time of reading each slice.
 *
 * @throws what the platform throws; an Error when the Blob is not as long as the ranges: a slice that the platform does
 *   not know as a Blob becomes a string in it.
 */
export async function readSlices<Part extends { readonly at: number; readonly length: number }>(
  blob: Blob,
  ranges: readonly Part[],
  deliver: (range: Part, bytes: Uint8Array) => void,
): Promise<void> {
  const slices = ranges.map(({ at, length }) => blob.slice(at, at + length));
  const bytes = new Uint8Array(await new Blob(slices).arrayBuffer());
  if (bytes.length !== ranges.reduce((sum, { length }) => sum + length, 0)) throw new Error('Bytes are missing.');
  let from = 0;
  for (const range of ranges) {
    deliver(range, bytes.subarray(from, from + range.length));
    from += range.length;
  }
  releaseBuffer(bytes);
}
