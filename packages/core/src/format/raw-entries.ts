/**
 * Owns the fields of table entries that may be wrong, as two 32-bit words, high and low: what a check of the image asks of
 * them. Unlike `entries.ts` it keeps what no valid entry has (spec: "Cluster mapping", "Host cluster management", "Bitmaps").
 */
import { COMPRESSED, COPIED, OFFSET_HIGH, OFFSET_LOW, ZERO } from './entries.js';
import type { Geometry } from './geometry.js';

const WORD = 0x1_0000_0000;

/** Bits that must be zero, in L1 entries, in standard L2 entries, and in bitmap table entries. */
const L1_RESERVED_HIGH = 0x7f00_0000;
const L1_RESERVED_LOW = 0x0000_01ff;
const L2_RESERVED_HIGH = 0x3f00_0000;
const L2_RESERVED_LOW = 0x0000_01fe;
const BITMAP_RESERVED_HIGH = 0xff00_0000;
const BITMAP_RESERVED_LOW = 0x0000_01fe;
/** A bitmap table entry without an offset: all bits of the cluster are set. */
const ALL_ONES = 1;

/**
 * An L2 entry in parts, for loops over millions of them: `flags` of the high word are those that neither an unallocated nor a
 * plain data cluster has; `copied` and `offset` are the rest of it.
 */
export const PLAIN_HIGH: { readonly flags: number; readonly copied: number; readonly offset: number } = {
  flags: L2_RESERVED_HIGH | COMPRESSED,
  copied: COPIED,
  offset: OFFSET_HIGH,
};

/** Where the entry points. */
export function rawOffset(high: number, low: number): number {
  return (high & OFFSET_HIGH) * WORD + ((low & OFFSET_LOW) >>> 0);
}

/** Whether the entry says that its cluster's refcount is exactly one. */
export function rawCopied(high: number): boolean {
  return (high & COPIED) !== 0;
}

/** Whether an L2 entry is a compressed cluster's. */
export function rawCompressed(high: number): boolean {
  return (high & COMPRESSED) !== 0;
}

/** Whether an L2 entry carries the flag "reads as zeros", which extended entries do not have. */
export function rawZero(low: number): boolean {
  return (low & ZERO) !== 0;
}

/** Whether an L1 entry has a bit set that must be zero. */
export function l1Reserved(high: number, low: number): boolean {
  return ((high & L1_RESERVED_HIGH) | (low & L1_RESERVED_LOW)) !== 0;
}

/** Whether an L2 entry that is not compressed has a bit set that must be zero. */
export function l2Reserved(high: number, low: number): boolean {
  return ((high & L2_RESERVED_HIGH) | (low & L2_RESERVED_LOW)) !== 0;
}

/** The offset in a refcount table entry: all of its bits but the lowest nine, which must be zero. */
export function refcountBlockOffset(high: number, low: number): { offset: number; reserved: boolean } {
  return { offset: high * WORD + ((low & OFFSET_LOW) >>> 0), reserved: (low & ~OFFSET_LOW) !== 0 };
}

/** The offset in a bitmap table entry, 0 when it has none, or null for an entry that no bitmap table may hold. */
export function bitmapClusterOffset({ clusterSize }: Geometry, high: number, low: number): number | null {
  if (((high & BITMAP_RESERVED_HIGH) | (low & BITMAP_RESERVED_LOW)) !== 0) return null;
  const offset = rawOffset(high, low);
  const valid = offset === 0 || ((low & ALL_ONES) === 0 && offset % clusterSize === 0);
  return valid ? offset : null;
}
