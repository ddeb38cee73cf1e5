/** Adapts pmtiles' interface `Source` to a source. */

import type { ByteSource } from '../api/device.js';
import { requireKind, requireWhole } from '../arguments.js';
import { Qcow2Error } from '../errors.js';
import { slicesSource } from './slices.js';

/** The part of pmtiles' interface `Source` that this library uses. */
export interface PmtilesSource {
  /** Name of the file, for error messages. */
  getKey(): string;
  /** Reads `length` bytes at `offset`. Returns them and the file's ETag. */
  getBytes(
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): Promise<{ readonly data: ArrayBuffer; readonly etag?: string | undefined }>;
}

/**
 * Creates a source that reads a `Source` of pmtiles. That interface has no length, so `size` gives it, in bytes. Wrap
 * it in `withCache(withCoalescing(…))` where a request is expensive.
 *
 * @throws TypeError when `source` does not have these methods; RangeError for an invalid size
 *
 * @example
 * ```ts
 * import { FileSource } from 'pmtiles';
 * import { pmtilesSource, Qcow2Image } from 'qcow2';
 *
 * const image = await Qcow2Image.open(pmtilesSource(new FileSource(file), file.size));
 * ```
 */
export function pmtilesSource(source: PmtilesSource, size: number): ByteSource {
  requireKind('source', source, 'an object');
  requireKind('source.getKey', source.getKey, 'a function');
  requireKind('source.getBytes', source.getBytes, 'a function');
  requireWhole('size', size);
  const what = source.getKey();
  let first: string | undefined;
  return slicesSource(source, size, what, async (start, end, signal) => {
    const { data, etag } = await source.getBytes(start, end - start, signal);
    first ??= etag;
    if (first !== undefined && etag !== undefined && etag !== first) {
      throw new Qcow2Error('changed', `${what} was ${first}, and is now ${etag}. Open it again.`, { what, at: start });
    }
    return new Uint8Array(data);
  });
}
