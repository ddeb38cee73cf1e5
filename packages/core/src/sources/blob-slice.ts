/**
 * Owns the reading of one slice of a Blob. A large slice is read as a stream, in chunks, each given back before the
 * next: `arrayBuffer` would take the memory of the whole slice. Not with a reader that brings its own buffers: on the
 * stream of a Blob that one stalls for ever now and then in Chromium (docs/decisions/0004).
 */
import { releaseBuffer } from '../engine/async/release-buffer.js';

/** From this length on a stream pays, bytes. */
const STREAMED = 256 * 1024;

/**
 * Hands the bytes of `[start, end)` to `deliver`, in order, each run with its distance from `start`. They are gone when
 * it returns.
 *
 * @returns how many bytes there were: fewer than asked for when the file has become shorter
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
