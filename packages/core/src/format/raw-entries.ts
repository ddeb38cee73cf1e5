/**
 * Decodes table entries that may be invalid, as two 32-bit words, high and low. Unlike `entries.ts` it keeps bits that
 * must be zero: a check reports them, and a writer refuses them (spec: "Cluster mapping", "Host cluster management").
 */
import { COMPRESSED, COPIED, OFFSET_HIGH, OFFSET_LOW, ZERO } from './entries.js';
import type { Geometry } from './geometry.js';

const WORD = 0x1_0000_0000;

/** Bits that must be zero, in L1 entries and in standard L2 entries. */
const L1_RESERVED_HIGH = 0x7f00_0000;
const L1_RESERVED_LOW = 0x0000_01ff;
const L2_RESERVED_HIGH = 0x3f00_0000;
const L2_RESERVED_LOW = 0x0000_01fe;

/**
 * Masks of the high word of an L2 entry, for loops over millions of them. `flags` are the bits that neither an
 * unallocated nor a plain data cluster has; `copied` and `offset` are the other bits.
 */
export const PLAIN_HIGH: { readonly flags: number; readonly copied: number; readonly offset: number } = {
  flags: L2_RESERVED_HIGH | COMPRESSED,
  copied: COPIED,
  offset: OFFSET_HIGH,
};

/** Returns the offset in the entry, bytes. */
export function rawOffset(high: number, low: number): number {
  return (high & OFFSET_HIGH) * WORD + ((low & OFFSET_LOW) >>> 0);
}

/** True if COPIED is set: the cluster's refcount is exactly one. */
export function rawCopied(high: number): boolean {
  return (high & COPIED) !== 0;
}

/** True if an L2 entry maps a compressed cluster. */
export function rawCompressed(high: number): boolean {
  return (high & COMPRESSED) !== 0;
}

/** True if an L2 entry has the flag "reads as zeros". Extended entries do not have this flag. */
export function rawZero(low: number): boolean {
  return (low & ZERO) !== 0;
}

/** True if an L1 entry has a bit set that must be zero. */
export function l1Reserved(high: number, low: number): boolean {
  return ((high & L1_RESERVED_HIGH) | (low & L1_RESERVED_LOW)) !== 0;
}

/** True if an L2 entry that is not compressed has a bit set that must be zero. */
export function l2Reserved(high: number, low: number): boolean {
  return ((high & L2_RESERVED_HIGH) | (low & L2_RESERVED_LOW)) !== 0;
}

/**
 * Decodes entry `index` of a refcount table: the offset of a refcount block, 0 when there is none, and whether a
 * reserved bit is set. All but the lowest nine bits are the offset. From 2^53 on it is inexact, but then it is past the
 * end of every file.
 */
export function getRefcountTableEntry(table: DataView, index: number): { offset: number; reserved: boolean } {
  const low = table.getUint32(index * 8 + 4);
  return {
    offset: table.getUint32(index * 8) * WORD + ((low & OFFSET_LOW) >>> 0),
    reserved: (low & ~OFFSET_LOW) !== 0,
  };
}

/** Returns why a writer must refuse an L1 entry, null when it is valid. */
export function l1Fault(l1: DataView, index: number): string | null {
  return l1Reserved(l1.getUint32(index * 8), l1.getUint32(index * 8 + 4)) ? RESERVED : null;
}

/**
 * Returns why a writer must refuse entry `index` of an L2 table, null when it is valid. Tests only what `getL2Entry`
 * drops.
 */
export function l2Fault({ l2EntrySize, extendedL2 }: Geometry, l2: DataView, index: number): string | null {
  const at = index * l2EntrySize;
  const high = l2.getUint32(at);
  if (!rawCompressed(high)) return l2Reserved(high, l2.getUint32(at + 4)) ? RESERVED : null;
  if (rawCopied(high)) return 'is compressed and has COPIED set';
  const bitmap = extendedL2 && (l2.getUint32(at + 8) | l2.getUint32(at + 12)) !== 0;
  return bitmap ? 'is compressed and has a subcluster bitmap' : null;
}

const RESERVED = 'has bits set that must be zero';
