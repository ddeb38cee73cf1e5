/** Checks the offsets and ranges of a request against the size of the disk. */

import type { Range } from '../../api/range.js';
import { Qcow2Error } from '../../errors.js';

/**
 * Checks that `[offset, offset + length)` lies on a disk of `size` bytes.
 *
 * @throws RangeError for anything but a non-negative integer; {@link Qcow2Error} `out-of-range` past the end
 */
export function requireInside(offset: number, length: number, size: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new RangeError(`An offset must be a whole number of bytes from 0 on, not ${offset}.`);
  }
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new RangeError(`A length must be a whole number of bytes from 0 on, not ${length}.`);
  }
  if (offset + length > size) {
    const message = `Bytes ${offset} to ${offset + length} are not all on the disk, which ends at ${size}.`;
    throw new Qcow2Error('out-of-range', message, { what: 'request', at: offset, length, size });
  }
}

/**
 * The start and end of a range on a disk of `size` bytes; of the whole disk without one. Throws as
 * {@link requireInside}.
 */
export function boundsOf(range: Range | undefined, size: number): { start: number; end: number } {
  if (range === undefined) return { start: 0, end: size };
  requireInside(range.start, range.length, size);
  return { start: range.start, end: range.start + range.length };
}
