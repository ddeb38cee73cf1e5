/**
 * Owns the reading of one slice of a Blob. A large slice is read as a byte stream through a borrowed buffer: `arrayBuffer` would
 * leave one of the slice's own size to be collected, and browsers collect late.
 */

/** From this length on a stream pays. */
const STREAMED = 256 * 1024;
/** What one read of a stream takes. */
const CHUNK = 1024 * 1024;
/** How many idle buffers are kept. */
const KEPT = 4;

/** Idle buffers, for the streams of one source. */
export type IdleBuffers = ArrayBuffer[];

/**
 * Hands the bytes of `[start, end)` to `deliver`, in order, each run with its distance from `start`. A run is good until
 * `deliver` returns.
 *
 * @returns how many bytes there were: fewer than asked for when the file has become shorter
 * @throws what the platform throws
 */
export async function readSlice(
  blob: Blob,
  start: number,
  end: number,
  idle: IdleBuffers,
  deliver: (from: number, bytes: Uint8Array) => void,
): Promise<number> {
  const slice = blob.slice(start, end);
  const reader = end - start < STREAMED ? null : byteReader(slice);
  if (reader === null) {
    const bytes = new Uint8Array(await slice.arrayBuffer());
    deliver(0, bytes);
    return bytes.length;
  }
  let buffer = idle.pop() ?? new ArrayBuffer(CHUNK);
  let at = 0;
  while (at < end - start) {
    const { done, value } = await reader.read(new Uint8Array(buffer, 0, Math.min(CHUNK, end - start - at)));
    if (done) break;
    deliver(at, value);
    at += value.length;
    // The buffer went with the read and came back as another object.
    buffer = value.buffer;
  }
  if (idle.length < KEPT && buffer.byteLength === CHUNK) idle.push(buffer);
  // Nobody waits for a stream that has been read to its end, or is no good any more.
  reader.cancel().catch(() => {});
  return at;
}

/** A reader with buffers of its own; null where Blobs have no byte streams, as in Safari. */
function byteReader(slice: Blob): ReadableStreamBYOBReader | null {
  try {
    return slice.stream().getReader({ mode: 'byob' });
  } catch {
    return null;
  }
}
