/** Adapts hyparquet's interface `AsyncBuffer` to a source. */
import type { ByteSource } from '../api/device.js';
import { requireKind, requireWhole } from '../arguments.js';
import { slicesSource } from './slices.js';

/** The part of hyparquet's interface of that name that this library uses. */
export interface AsyncBuffer {
  /** Bytes. */
  readonly byteLength: number;
  /** The bytes `[start, end)`. */
  slice(start: number, end: number): ArrayBuffer | Promise<ArrayBuffer>;
}

/**
 * Creates a source that reads an AsyncBuffer. Wrap it in `withCache(withCoalescing(…))` where a slice is expensive.
 *
 * @throws TypeError when it has no `slice`; RangeError for an invalid `byteLength`
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
  requireKind('buffer', buffer, 'an object');
  requireKind('buffer.slice', buffer.slice, 'a function');
  requireWhole('buffer.byteLength', buffer.byteLength);
  return slicesSource(
    buffer,
    buffer.byteLength,
    'AsyncBuffer',
    async (start, end) => new Uint8Array(await buffer.slice(start, end)),
  );
}
