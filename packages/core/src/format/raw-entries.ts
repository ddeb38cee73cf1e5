/**
 * Decodes what may be wrong with table entries, as two 32-bit words, high and low. Unlike `entries.ts` it keeps what no
 * valid entry has: a check reports it, and a writer refuses it (spec: "Cluster mapping", "Host cluster management").
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
 * An L2 entry in parts, for loops over millions of them: `flags` of the high word are those that neither an unallocated
 * nor a plain data cluster has; `copied` and `offset` are the rest of it.
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

/**
 * Entry `index` of a refcount table: where a refcount block lies, 0 when there is none, and whether a bit is set that
 * must be zero. All but the lowest nine bits are the offset. From 2^53 on it is inexact, and past the end of every
 * file.
 */
export function getRefcountTableEntry(table: DataView, index: number): { offset: number; reserved: boolean } {
  const low = table.getUint32(index * 8 + 4);
  return {
    offset: table.getUint32(index * 8) * WORD + ((low & OFFSET_LOW) >>> 0),
    reserved: (low & ~OFFSET_LOW) !== 0,
  };
}

/** Why a writer must not trust an L1 entry; null when it may. */
export function l1Fault(l1: DataView, index: number): string | null {
  return l1Reserved(l1.getUint32(index * 8), l1.getUint32(index * 8 + 4)) ? RESERVED : null;
}

/**
 * Why a writer must not trust entry `index` of an L2 table, as far as `getL2Entry` does not keep it; null when it may.
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
