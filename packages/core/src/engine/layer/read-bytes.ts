/** Reads a few bytes into a new buffer. */
import type { ByteSource } from '../../api/device.js';

/** `length` bytes from `at` on, or fewer if the file ends before. */
export async function readBytes(
  source: ByteSource,
  at: number,
  length: number,
  signal?: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, Math.min(length, source.size - at)));
  if (bytes.length > 0) await source.read([{ at, bytes }], signal);
  return bytes;
}
