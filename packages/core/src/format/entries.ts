/**
 * Decodes L1 and L2 entries (spec: "Cluster mapping", "Extended L2 Entries"). Masks are used only in
 * `format/`; other code gets a closed union. Entries are read as two 32-bit words, high and low, because a 64-bit read
 * creates a BigInt and takes ten times as long.
 *
 *   bit 63       COPIED: the refcount is exactly one           high word, bit 31
 *   bit 62       compressed                                    high word, bit 30
 *   bits 9..55   host offset of a table or cluster             high word, bits 0..23, and low word, bits 9..31
 *   bit 0        reads as zeros (not with extended entries)    low word, bit 0
 */
import type { Geometry } from './geometry.js';

const WORD = 0x1_0000_0000;
/** In the high word: the refcount is exactly one. This and the next constants are used only in this folder. */
export const COPIED = 0x8000_0000;
/** In the high word: a compressed cluster descriptor. */
export const COMPRESSED = 0x4000_0000;
/** The part of the offset in the high word. */
export const OFFSET_HIGH = 0x00ff_ffff;
/** The part of the offset in the low word. */
export const OFFSET_LOW = 0xffff_fe00;
/** In the low word: reads as zeros. */
export const ZERO = 1;
/** Bits that must be zero, in L1 entries and in standard L2 entries. */
export const L1_RESERVED_HIGH = 0x7f00_0000;
export const L1_RESERVED_LOW = 0x0000_01ff;
export const L2_RESERVED_HIGH = 0x3f00_0000;
export const L2_RESERVED_LOW = 0x0000_01fe;
/** The unit of the length of a compressed stream, bytes. */
export const SECTOR = 512;

/**
 * One L1 entry: the offset of an L2 table, null when there is none, and whether its refcount is exactly one (COPIED).
 */
export interface L1Entry {
  readonly offset: number | null;
  readonly owned: boolean;
}

/** Where a guest cluster's bytes are. */
export type Mapping =
  /** Read from the backing file; zeros without one. */
  | { readonly kind: 'unallocated' }
  /** Reads as zeros. `host` is a preallocated cluster; `owned` is true when its refcount is exactly one (COPIED). */
  | { readonly kind: 'zero'; readonly host: number | null; readonly owned: boolean }
  | { readonly kind: 'data'; readonly host: number; readonly owned: boolean }
  /** The `length` bytes at `host` contain the compressed stream, followed by bytes to ignore. */
  | { readonly kind: 'compressed'; readonly host: number; readonly length: number }
  /** Extended entries only: bit n of a word is subcluster n. With neither bit set it is unallocated. */
  | {
      readonly kind: 'subclusters';
      readonly host: number | null;
      readonly owned: boolean;
      /** 32-bit word: the subcluster is allocated in the cluster at `host`. */
      readonly allocated: number;
      /** 32-bit word: the subcluster reads as zeros. */
      readonly zero: number;
    };

/**
 * Host offset of the L2 table in entry `index` of an L1 table, 0 when there is none. Allocates nothing, for hot loops.
 */
export function l2TableOffset(l1: DataView, index: number): number {
  return (l1.getUint32(index * 8) & OFFSET_HIGH) * WORD + ((l1.getUint32(index * 8 + 4) & OFFSET_LOW) >>> 0);
}

/** Decodes entry `index` of an L1 table. */
export function getL1Entry(l1: DataView, index: number): L1Entry {
  const offset = l2TableOffset(l1, index);
  return { offset: offset === 0 ? null : offset, owned: (l1.getUint32(index * 8) & COPIED) !== 0 };
}

/** Decodes entry `index` of an L2 table. */
export function getL2Entry(geometry: Geometry, l2: DataView, index: number): Mapping {
  const at = index * geometry.l2EntrySize;
  const high = l2.getUint32(at);
  const low = l2.getUint32(at + 4);
  if ((high & COMPRESSED) !== 0) return compressedAt(geometry, l2, index);
  const owned = (high & COPIED) !== 0;
  const host = standardOffset(geometry, l2, index);
  if (geometry.extendedL2) {
    return { kind: 'subclusters', host, owned, zero: l2.getUint32(at + 8), allocated: l2.getUint32(at + 12) };
  }
  if ((low & ZERO) !== 0) return { kind: 'zero', host, owned };
  return host === null ? UNALLOCATED : { kind: 'data', host, owned };
}

const UNALLOCATED: Mapping = { kind: 'unallocated' };

/**
 * The host offset in entry `index` of an L2 table, whose cluster is not compressed; null when it has none. Allocates
 * nothing, for hot loops.
 */
export function standardOffset(
  { l2EntrySize, extendedL2, externalData }: Geometry,
  l2: DataView,
  index: number,
): number | null {
  const high = l2.getUint32(index * l2EntrySize);
  const low = l2.getUint32(index * l2EntrySize + 4);
  const offset = (high & OFFSET_HIGH) * WORD + ((low & OFFSET_LOW) >>> 0);
  if (offset !== 0) return offset;
  // Offset 0 is a valid offset only in an external data file, where COPIED without the zero flag marks it as allocated.
  const zero = !extendedL2 && (low & ZERO) !== 0;
  return externalData && (high & COPIED) !== 0 && !zero ? 0 : null;
}

/** True if entry `index` of an L2 table maps a compressed cluster. */
export function isCompressed({ l2EntrySize }: Geometry, l2: DataView, index: number): boolean {
  return (l2.getUint32(index * l2EntrySize) & COMPRESSED) !== 0;
}

/**
 * Counts the entries from `index` on, at most `limit`, that continue the mapping of the first: the same kind, with
 * consecutive host clusters if it has any. COPIED is ignored, unless it alone marks a cluster as allocated. Only for
 * standard entries that are not compressed.
 */
export function countContiguous(geometry: Geometry, l2: DataView, index: number, limit: number): number {
  const step = standardOffset(geometry, l2, index) === null ? 0 : geometry.clusterSize;
  // Without an offset, COPIED alone marks a cluster of an external data file as allocated.
  const ignored = step === 0 && geometry.externalData ? 0 : COPIED;
  let high = l2.getUint32(index * 8) & ~ignored;
  let low = l2.getUint32(index * 8 + 4);
  let count = 1;
  while (count < limit) {
    low += step;
    if (low >= WORD) {
      low -= WORD;
      high += 1;
    }
    const at = (index + count) * 8;
    if (l2.getUint32(at + 4) !== low || (l2.getUint32(at) & ~ignored) !== high) break;
    count++;
  }
  return count;
}

/** Bits of the offset in a compressed descriptor: x = 62 - (cluster_bits - 8). The other bits count sectors. */
export function offsetBits(geometry: Geometry): number {
  return 62 - (geometry.clusterBits - 8);
}

/** The host offset in entry `index` of an L2 table, whose cluster is compressed. From 2^53 on it is inexact. */
export function compressedOffset(geometry: Geometry, l2: DataView, index: number): number {
  const at = index * geometry.l2EntrySize;
  const mask = 2 ** (offsetBits(geometry) - 32) - 1;
  return (l2.getUint32(at) & (COMPRESSED - 1) & mask) * WORD + l2.getUint32(at + 4);
}

function compressedAt(geometry: Geometry, l2: DataView, index: number): Mapping {
  const host = compressedOffset(geometry, l2, index);
  const sectors = (l2.getUint32(index * geometry.l2EntrySize) & (COMPRESSED - 1)) >>> (offsetBits(geometry) - 32);
  return { kind: 'compressed', host, length: SECTOR * (sectors + 1) - (host % SECTOR) };
}
