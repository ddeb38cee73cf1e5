/** Owns the adapter from an AsyncBuffer, the interface by which hyparquet reads files of any kind. */
import type { ByteSource } from '../api/device.js';
import { slicesSource } from './slices.js';

/** What this library uses of hyparquet's interface of that name. */
export interface AsyncBuffer {
  /** Bytes. */
  readonly byteLength: number;
  /** The bytes `[start, end)`. */
  slice(start: number, end: number): ArrayBuffer | Promise<ArrayBuffer>;
}

/**
 * A source over an AsyncBuffer. Put `withCache(withCoalescing(…))` around it where a slice is dear.
 *
 * @example
 * ```ts
 * import { asyncBufferFromUrl } from 'hyparquet';
 * import { asyncBufferSource, Qcow2Image, withCache, withCoalescing } from 'qcow2';
 *
 * const buffer = await asyncBufferFromUrl({ url });
 * const image = await Qcow2Image.open(withCache(withCoalescing(asyncBufferSource(buffer))));
 * ```
 */
export function asyncBufferSource(buffer: AsyncBuffer): ByteSource {
  return slicesSource(
    buffer,
    buffer.byteLength,
    'AsyncBuffer',
    async (start, end) => new Uint8Array(await buffer.slice(start, end)),
  );
}
