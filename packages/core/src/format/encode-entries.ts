/** Encodes L1 and L2 entries: the inverse of `entries.ts`. */
import { COMPRESSED, COPIED, type L1Entry, type Mapping, offsetBits, SECTOR, ZERO } from './entries.js';
import type { Geometry } from './geometry.js';

const WORD = 0x1_0000_0000;

/** Writes entry `index` of an L1 table. */
export function setL1Entry(l1: DataView, index: number, entry: L1Entry): void {
  setWords(l1, index * 8, entry.offset ?? 0, entry.owned ? COPIED : 0, 0);
}

/** True if COPIED is set in entry `index` of an L2 table. */
export function isOwned({ l2EntrySize }: Geometry, l2: DataView, index: number): boolean {
  return (l2.getUint32(index * l2EntrySize) & COPIED) !== 0;
}

/** Sets or clears COPIED in entry `index` of an L2 table. */
export function setOwned({ l2EntrySize }: Geometry, l2: DataView, index: number, owned: boolean): void {
  const at = index * l2EntrySize;
  const high = l2.getUint32(at);
  l2.setUint32(at, (owned ? high | COPIED : high & ~COPIED) >>> 0);
}

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
 * Copies an L2 table that is shared, for example with a snapshot. Its clusters are then shared too, so COPIED is
 * cleared; nothing else of an entry changes. Clusters of an external data file have no refcounts and keep COPIED.
 */
export function copyL2Table(geometry: Geometry, from: DataView, to: DataView): void {
  for (let at = 0; at < from.byteLength; at += 4) to.setUint32(at, from.getUint32(at));
  if (geometry.externalData) return;
  for (let at = 0; at < to.byteLength; at += geometry.l2EntrySize) {
    const high = to.getUint32(at);
    if ((high & COMPRESSED) === 0) to.setUint32(at, high & ~COPIED);
  }
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
