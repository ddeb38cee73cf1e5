/**
 * Owns the bits of L1 and L2 entries (spec: "Cluster mapping", "Extended L2 Entries"). Masks never leave `format/`; an
 * entry becomes a closed union at once. Entries are read as two 32-bit words, high and low, because a 64-bit read makes
 * a BigInt and takes ten times as long.
 *
 *   bit 63       COPIED: the refcount is exactly one           high word, bit 31
 *   bit 62       compressed                                    high word, bit 30
 *   bits 9..55   host offset of a table or cluster             high word, bits 0..23, and low word, bits 9..31
 *   bit 0        reads as zeros (not with extended entries)    low word, bit 0
 */
import type { Geometry, HostOffset } from './geometry.js';

const WORD = 0x1_0000_0000;
/** In the high word: the refcount is exactly one. This and the next four are for this folder alone. */
export const COPIED = 0x8000_0000;
/** In the high word: a compressed cluster descriptor. */
export const COMPRESSED = 0x4000_0000;
/** The offset, its part in the high word. */
export const OFFSET_HIGH = 0x00ff_ffff;
/** The offset, its part in the low word. */
export const OFFSET_LOW = 0xffff_fe00;
/** In the low word: reads as zeros. */
export const ZERO = 1;
const SECTOR = 512;

/** One L1 entry: where an L2 table is, null when there is none, and whether its refcount is exactly one. */
export interface L1Entry {
  readonly offset: HostOffset | null;
  readonly owned: boolean;
}

/** Where a guest cluster's bytes are. */
export type Mapping =
  /** In the backing file, else zeros. */
  | { readonly kind: 'unallocated' }
  /** Reads as zeros; `host` is a cluster kept for it, `owned` when that cluster's refcount is exactly one (COPIED). */
  | { readonly kind: 'zero'; readonly host: HostOffset | null; readonly owned: boolean }
  | { readonly kind: 'data'; readonly host: HostOffset; readonly owned: boolean }
  /** `length` bytes from `host` on hold the stream, and garbage after it. */
  | { readonly kind: 'compressed'; readonly host: HostOffset; readonly length: number }
  /** Extended entries only: bit n of a word stands for subcluster n. Neither bit set: as unallocated. */
  | {
      readonly kind: 'subclusters';
      readonly host: HostOffset | null;
      readonly owned: boolean;
      /** 32-bit word: the subcluster has bytes in the cluster at `host`. */
      readonly allocated: number;
      /** 32-bit word: the subcluster reads as zeros. */
      readonly zero: number;
    };

/** The host offset of the L2 table that entry `index` of an L1 table names, 0 when it names none. The hot form. */
export function l2TableOffset(l1: DataView, index: number): number {
  return (l1.getUint32(index * 8) & OFFSET_HIGH) * WORD + ((l1.getUint32(index * 8 + 4) & OFFSET_LOW) >>> 0);
}

/** Entry `index` of an L1 table. */
export function getL1Entry(l1: DataView, index: number): L1Entry {
  const offset = l2TableOffset(l1, index);
  return { offset: offset === 0 ? null : (offset as HostOffset), owned: (l1.getUint32(index * 8) & COPIED) !== 0 };
}

/** Writes entry `index` of an L1 table. */
export function setL1Entry(l1: DataView, index: number, entry: L1Entry): void {
  setWords(l1, index * 8, entry.offset ?? 0, entry.owned ? COPIED : 0, 0);
}

/** Entry `index` of an L2 table. */
export function getL2Entry(geometry: Geometry, l2: DataView, index: number): Mapping {
  const at = index * geometry.l2EntrySize;
  const high = l2.getUint32(at);
  const low = l2.getUint32(at + 4);
  if ((high & COMPRESSED) !== 0) return compressedAt(geometry, high, low);
  const offset = (high & OFFSET_HIGH) * WORD + ((low & OFFSET_LOW) >>> 0);
  const owned = (high & COPIED) !== 0;
  // Offset 0 is a place only in an external data file, where COPIED says so.
  const host = offset !== 0 || (geometry.externalData && owned) ? (offset as HostOffset) : null;
  if (geometry.extendedL2) {
    return { kind: 'subclusters', host, owned, zero: l2.getUint32(at + 8), allocated: l2.getUint32(at + 12) };
  }
  if ((low & ZERO) !== 0) return { kind: 'zero', host, owned };
  return host === null ? UNALLOCATED : { kind: 'data', host, owned };
}

const UNALLOCATED: Mapping = { kind: 'unallocated' };

/** Writes entry `index` of an L2 table: the inverse of {@link getL2Entry}. */
export function setL2Entry(geometry: Geometry, l2: DataView, index: number, mapping: Mapping): void {
  const at = index * geometry.l2EntrySize;
  if (geometry.extendedL2) {
    const subclusters = mapping.kind === 'subclusters';
    l2.setUint32(at + 8, subclusters ? mapping.zero : 0);
    l2.setUint32(at + 12, subclusters ? mapping.allocated : 0);
  }
  switch (mapping.kind) {
    case 'unallocated':
      setWords(l2, at, 0, 0, 0);
      break;
    case 'compressed':
      setCompressed(geometry, l2, at, mapping.host, mapping.length);
      break;
    case 'zero':
      setWords(l2, at, mapping.host ?? 0, mapping.owned ? COPIED : 0, ZERO);
      break;
    default:
      setWords(l2, at, mapping.host ?? 0, mapping.owned ? COPIED : 0, 0);
  }
}

/**
 * Copies an L2 table that others refer to as well: its clusters are theirs, too, so none of them is owned. Nothing else
 * of an entry changes. Clusters of an external data file have no refcounts, and stay owned.
 */
export function copyL2Table(geometry: Geometry, from: DataView, to: DataView): void {
  for (let at = 0; at < from.byteLength; at += 4) to.setUint32(at, from.getUint32(at));
  if (geometry.externalData) return;
  for (let at = 0; at < to.byteLength; at += geometry.l2EntrySize) {
    const high = to.getUint32(at);
    if ((high & COMPRESSED) === 0) to.setUint32(at, high & ~COPIED);
  }
}

/**
 * How many entries from `index` on, at most `limit`, continue the mapping of the first: the same kind, and host
 * clusters that follow one another where it has any. COPIED does not matter. Standard entries that are not compressed
 * only.
 */
export function countContiguous(geometry: Geometry, l2: DataView, index: number, limit: number): number {
  const first = l2.getUint32(index * 8);
  let high = first & ~COPIED;
  let low = l2.getUint32(index * 8 + 4);
  const atZero = geometry.externalData && (first & COPIED) !== 0;
  const hasHost = (high & OFFSET_HIGH) !== 0 || (low & OFFSET_LOW) !== 0 || atZero;
  const step = hasHost ? geometry.clusterSize : 0;
  let count = 1;
  while (count < limit) {
    low += step;
    if (low >= WORD) {
      low -= WORD;
      high += 1;
    }
    const at = (index + count) * 8;
    if (l2.getUint32(at + 4) !== low || (l2.getUint32(at) & ~COPIED) !== high) break;
    count++;
  }
  return count;
}

/**
 * How the words of a compressed descriptor split: x = 62 - (cluster_bits - 8) bits of offset, the rest counts sectors.
 */
function offsetBits(geometry: Geometry): number {
  return 62 - (geometry.clusterBits - 8);
}

function compressedAt(geometry: Geometry, high: number, low: number): Mapping {
  const highBits = offsetBits(geometry) - 32;
  const descriptor = high & (COMPRESSED - 1);
  const host = (descriptor & (2 ** highBits - 1)) * WORD + low;
  const sectors = descriptor >>> highBits;
  return { kind: 'compressed', host: host as HostOffset, length: SECTOR * (sectors + 1) - (host % SECTOR) };
}

function setCompressed(geometry: Geometry, l2: DataView, at: number, host: number, length: number): void {
  const highBits = offsetBits(geometry) - 32;
  const sectors = Math.ceil((length + (host % SECTOR)) / SECTOR) - 1;
  l2.setUint32(at, (COMPRESSED | (sectors << highBits) | Math.floor(host / WORD)) >>> 0);
  l2.setUint32(at + 4, host % WORD);
}

function setWords(view: DataView, at: number, offset: number, highFlags: number, lowFlags: number): void {
  view.setUint32(at, (Math.floor(offset / WORD) | highFlags) >>> 0);
  view.setUint32(at + 4, (offset % WORD) + lowFlags);
}
