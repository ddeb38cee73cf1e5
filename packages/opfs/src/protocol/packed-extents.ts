/** Packs extents into numbers for transfer: cloning thousands of small objects would cost more than finding them. */
import type { Extent } from 'qcow2';

/** start, length, depth, flags, offset. A double represents every integer up to 2^53, and no offset exceeds that. */
const FIELDS = 5;
const NO_OFFSET = -1;
const PRESENT = 1;
const ZERO = 2;
const DATA = 4;
const COMPRESSED = 8;
const UNREADABLE = 16;

/** Packs extents into one transferable array. */
export function packExtents(extents: readonly Extent[]): Float64Array<ArrayBuffer> {
  const packed = new Float64Array(extents.length * FIELDS);
  let at = 0;
  for (const extent of extents) {
    packed[at++] = extent.start;
    packed[at++] = extent.length;
    packed[at++] = extent.depth;
    packed[at++] =
      (extent.present ? PRESENT : 0) |
      (extent.zero ? ZERO : 0) |
      (extent.data ? DATA : 0) |
      (extent.compressed ? COMPRESSED : 0) |
      (extent.unreadable ? UNREADABLE : 0);
    packed[at++] = extent.offset ?? NO_OFFSET;
  }
  return packed;
}

/** Unpacks the extents of a packet, in order. */
export function unpackExtents(packed: Float64Array): Extent[] {
  const extents: Extent[] = [];
  for (let at = 0; at < packed.length; at += FIELDS) {
    const flags = packed[at + 3]!;
    const offset = packed[at + 4]!;
    const extent: Extent = {
      start: packed[at]!,
      length: packed[at + 1]!,
      depth: packed[at + 2]!,
      present: (flags & PRESENT) !== 0,
      zero: (flags & ZERO) !== 0,
      data: (flags & DATA) !== 0,
      compressed: (flags & COMPRESSED) !== 0,
    };
    if (offset !== NO_OFFSET) extent.offset = offset;
    if ((flags & UNREADABLE) !== 0) extent.unreadable = true;
    extents.push(extent);
  }
  return extents;
}
