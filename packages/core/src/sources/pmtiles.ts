/** Owns the adapter from a Source, the interface by which pmtiles reads archives from anywhere. */

import type { ByteSource } from '../api/device.js';
import { Qcow2Error } from '../errors.js';
import { slicesSource } from './slices.js';

/** What this library uses of pmtiles' interface `Source`. */
export interface PmtilesSource {
  /** What it reads, for messages. */
  getKey(): string;
  /** `length` bytes at `offset`, and by what the file is known again. */
  getBytes(
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): Promise<{ readonly data: ArrayBuffer; readonly etag?: string | undefined }>;
}

/**
 * A source over one of pmtiles, which does not know how long it is: `size` says it, in bytes. Put
 * `withCache(withCoalescing(…))` around it where a request is dear.
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
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`size must be a number of bytes, not ${size}.`);
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
