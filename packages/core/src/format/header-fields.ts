/**
 * Updates, in place, the header fields that change while an image is written. All of them are in sector 0 (spec:
 * "Header").
 */
import { getBits64, getUint64, setUint64 } from './bytes.js';
import { AUTOCLEAR, type Header } from './header.js';

/** Length of the part of the header that is rewritten, bytes: one sector, which the medium writes atomically. */
export const HEADER_SECTOR_BYTES = 512;

const SIZE_AT = 24;
const L1_SIZE_AT = 36;
/** Offset of `l1_table_offset`, bytes. */
export const L1_TABLE_AT = 40;
const REFCOUNT_TABLE_AT = 48;
const REFCOUNT_TABLE_CLUSTERS_AT = 56;
const SNAPSHOT_COUNT_AT = 60;
/** Offset of `snapshots_offset`, bytes. */
export const SNAPSHOT_TABLE_AT = 64;
const INCOMPATIBLE_AT = 72;
const AUTOCLEAR_AT = 88;
const REFCOUNT_ORDER_AT = 96;

/** Sets or clears a bit of `incompatible_features`. All known bits are in the low word. Version 3 only. */
export function setIncompatible(header: DataView, bit: number, on: boolean): void {
  setBit(header, INCOMPATIBLE_AT + 4, bit, on);
}

/** Sets or clears a bit of `autoclear_features`. Version 3 only. */
export function setAutoclear(header: DataView, bit: number, on: boolean): void {
  setBit(header, AUTOCLEAR_AT + 4, bit, on);
}

/** Clears the unknown bits of `autoclear_features`, as the specification requires of a writer. */
export function clearUnknownAutoclear(header: DataView): void {
  const known = (1 << AUTOCLEAR.bitmaps) | (1 << AUTOCLEAR.rawDataFile);
  header.setUint32(AUTOCLEAR_AT, 0);
  header.setUint32(AUTOCLEAR_AT + 4, header.getUint32(AUTOCLEAR_AT + 4) & known);
}

/** Sets the virtual size, bytes. */
export function setDiskSize(header: DataView, size: number): void {
  setUint64(header, SIZE_AT, size);
}

/** Sets the offset of the active L1 table, `at`, in bytes, and the number of its entries. */
export function setL1Table(header: DataView, at: number, entries: number): void {
  header.setUint32(L1_SIZE_AT, entries);
  setUint64(header, L1_TABLE_AT, at);
}

/** Sets the offset of the refcount table, `at`, in bytes, and its length in clusters. */
export function setRefcountTable(header: DataView, at: number, clusters: number): void {
  setUint64(header, REFCOUNT_TABLE_AT, at);
  header.setUint32(REFCOUNT_TABLE_CLUSTERS_AT, clusters);
}

/** Sets the width of refcounts, `1 << order` bits. Version 3 only. */
export function setRefcountOrder(header: DataView, order: number): void {
  header.setUint32(REFCOUNT_ORDER_AT, order);
}

/** Sets the offset of the snapshot table, `at`, in bytes, and the number of its entries. */
export function setSnapshotTable(header: DataView, at: number, count: number): void {
  header.setUint32(SNAPSHOT_COUNT_AT, count);
  setUint64(header, SNAPSHOT_TABLE_AT, at);
}

/**
 * Returns a copy of `header` with the fields that change while an image is written taken from `sector`, the current
 * sector 0.
 */
export function withCurrentFields(header: Header, sector: DataView): Header {
  const current = {
    ...header,
    size: getUint64(sector, SIZE_AT),
    l1Size: sector.getUint32(L1_SIZE_AT),
    l1TableOffset: getUint64(sector, L1_TABLE_AT),
    refcountTableOffset: getUint64(sector, REFCOUNT_TABLE_AT),
    refcountTableClusters: sector.getUint32(REFCOUNT_TABLE_CLUSTERS_AT),
    snapshotCount: sector.getUint32(SNAPSHOT_COUNT_AT),
    snapshotsOffset: getUint64(sector, SNAPSHOT_TABLE_AT),
  };
  if (header.version === 2) return current;
  const incompatibleFeatures = getBits64(sector, INCOMPATIBLE_AT);
  const autoclearFeatures = getBits64(sector, AUTOCLEAR_AT);
  return { ...current, incompatibleFeatures, autoclearFeatures };
}

function setBit(header: DataView, at: number, bit: number, on: boolean): void {
  const word = header.getUint32(at);
  header.setUint32(at, (on ? word | (1 << bit) : word & ~(1 << bit)) >>> 0);
}
