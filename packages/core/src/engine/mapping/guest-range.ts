/** Checks the offsets and ranges of a request against the size of the disk. */

import type { Range } from '../../api/range.js';
import { requireKind, requireWhole } from '../../arguments.js';
import { Qcow2Error } from '../../errors.js';

/**
 * Checks that `[offset, offset + length)` lies on a disk of `size` bytes. `name` is that of the offset.
 *
 * @throws RangeError for anything but a non-negative integer; {@link Qcow2Error} `out-of-range` past the end
 */
export function requireInside(offset: number, length: number, size: number, name = 'offset'): void {
  requireWhole(name, offset);
  requireWhole('length', length);
  if (offset + length > size) {
    const message = `Bytes ${offset} to ${offset + length} are not all on the disk, which ends at ${size}.`;
    throw new Qcow2Error('out-of-range', message, { what: 'request', at: offset, length, size });
  }
}

/**
 * The start and end of a range on a disk of `size` bytes; of the whole disk without one. Throws as
 * {@link requireInside}.
 *
 * @throws TypeError for a range that is not an object
 */
export function boundsOf(range: Range | undefined, size: number): { start: number; end: number } {
  if (range === undefined) return { start: 0, end: size };
  requireKind('range', range, 'an object');
  const { start, length } = range;
  requireInside(start, length, size, 'start');
  return { start, end: start + length };
}
