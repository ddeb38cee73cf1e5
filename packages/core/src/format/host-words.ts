/**
 * Reads and changes the host offsets in 8-byte words that refer to clusters: entries of L1, L2, refcount and bitmap
 * tables, and the offsets in headers and directories. Their other bits stay as they are.
 */
import { COMPRESSED, OFFSET_HIGH, OFFSET_LOW, offsetBits, SECTOR } from './entries.js';
import type { Geometry } from './geometry.js';

const WORD = 0x1_0000_0000;

/** The host offset in the word at the byte `at`, which is not that of a compressed cluster. */
export function getHost(view: DataView, at: number): number {
  return (view.getUint32(at) & OFFSET_HIGH) * WORD + ((view.getUint32(at + 4) & OFFSET_LOW) >>> 0);
}

/** Changes the host offset in the word at the byte `at`, which is not that of a compressed cluster. */
export function setHost(view: DataView, at: number, host: number): void {
  view.setUint32(at, ((view.getUint32(at) & ~OFFSET_HIGH) | Math.floor(host / WORD)) >>> 0);
  view.setUint32(at + 4, ((view.getUint32(at + 4) & ~OFFSET_LOW) | (host % WORD)) >>> 0);
}

/** True if the word at the byte `at` of an L2 table is that of a compressed cluster. */
export function isCompressedWord(view: DataView, at: number): boolean {
  return (view.getUint32(at) & COMPRESSED) !== 0;
}

/** The place of the stream of a compressed cluster, whose word is at the byte `at`; bytes. */
export function compressedAt(
  geometry: Geometry,
  view: DataView,
  at: number,
): { readonly host: number; readonly length: number } {
  const shift = offsetBits(geometry) - 32;
  const high = view.getUint32(at) & (COMPRESSED - 1);
  const host = (high & (2 ** shift - 1)) * WORD + view.getUint32(at + 4);
  return { host, length: ((high >>> shift) + 1) * SECTOR - (host % SECTOR) };
}

/**
 * Changes the host offset in the word of a compressed cluster at the byte `at`. In its sector the stream must begin at
 * the same byte as before: then its length stays the same.
 */
export function setCompressedHost(geometry: Geometry, view: DataView, at: number, host: number): void {
  const mask = 2 ** (offsetBits(geometry) - 32) - 1;
  view.setUint32(at, ((view.getUint32(at) & ~mask) | Math.floor(host / WORD)) >>> 0);
  view.setUint32(at + 4, host % WORD);
}

/** Takes a host offset that an entry refers to; `length` is that of a compressed stream, and 0 for a whole cluster. */
export type HostVisitor = (index: number, host: number, length: number) => void;

/** Calls `visit` for every entry of an L2 table that refers to a host cluster. */
export function forEachHost(geometry: Geometry, table: DataView, visit: HostVisitor): void {
  const { l2EntrySize, l2Entries } = geometry;
  for (let index = 0; index < l2Entries; index++) {
    const at = index * l2EntrySize;
    const high = table.getUint32(at);
    if ((high & COMPRESSED) === 0) {
      const host = (high & OFFSET_HIGH) * WORD + ((table.getUint32(at + 4) & OFFSET_LOW) >>> 0);
      if (host !== 0) visit(index, host, 0);
    } else {
      const { host, length } = compressedAt(geometry, table, at);
      visit(index, host, length);
    }
  }
}

/**
 * True if an L2 table maps nothing. `base` says that there is no backing file, so that a cluster that reads as zeros
 * needs no entry.
 */
export function mapsNothing(geometry: Geometry, table: DataView, base: boolean): boolean {
  const { l2EntrySize, extendedL2, l2Entries } = geometry;
  for (let index = 0; index < l2Entries; index++) {
    const at = index * l2EntrySize;
    const high = table.getUint32(at);
    const low = table.getUint32(at + 4);
    if (high !== 0 || (low & OFFSET_LOW) !== 0) return false;
    if (base) continue;
    if (low !== 0 || (extendedL2 && table.getUint32(at + 8) !== 0)) return false;
  }
  return true;
}
