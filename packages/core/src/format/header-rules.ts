/**
 * The rules that a header must satisfy before memory is allocated for its tables: those of QEMU, of the specification
 * and of the file's length. A valid header passes them without the messages of `validate.ts`, whose failures have the
 * same order.
 */
import { type HeaderExtension, isKnownFeature } from './extensions.js';
import { type Geometry, l1EntriesFor } from './geometry.js';
import { AUTOCLEAR, COMPRESSION_TYPE, CRYPT_METHOD, type Header, INCOMPATIBLE } from './header.js';
import {
  MAX_BACKING_FORMAT_BYTES,
  MAX_BACKING_NAME_BYTES,
  MAX_CLUSTER_BITS,
  MAX_HOST_OFFSET,
  MAX_L1_BYTES,
  MAX_REFCOUNT_ORDER,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MIN_CLUSTER_BITS,
  MIN_EXTENDED_CLUSTER_BITS,
} from './limits.js';

/** Length of an L1 or refcount table entry, bytes. */
const ENTRY_BYTES = 8;

/** Returns the index of the first rule that is violated by the fields needed to read the extensions; -1 for none. */
export function layoutViolation({ clusterBits, headerLength, backingFileOffset, backingFileSize }: Header): number {
  const clusterSize = 2 ** clusterBits;
  const hasName = backingFileOffset !== 0;
  return [
    clusterBits < MIN_CLUSTER_BITS,
    clusterBits > MAX_CLUSTER_BITS,
    headerLength > clusterSize,
    hasName && backingFileOffset > clusterSize,
    hasName && backingFileSize > maxNameBytes(clusterSize, backingFileOffset),
  ].indexOf(true);
}

/** The longest name of a backing file at an offset in the first cluster, bytes. */
export function maxNameBytes(clusterSize: number, backingFileOffset: number): number {
  return Math.min(MAX_BACKING_NAME_BYTES, clusterSize - backingFileOffset);
}

/** Returns the index of the first rule that is violated by feature bits and the fields that depend on them, or -1. */
export function featureViolation(header: Header): number {
  const { incompatibleFeatures, autoclearFeatures, compressionType, clusterBits } = header;
  const has = (bit: number) => incompatibleFeatures.includes(bit);
  return [
    incompatibleFeatures.some((bit) => !isKnownFeature(0, bit)),
    compressionType > COMPRESSION_TYPE.zstd,
    has(INCOMPATIBLE.compressionType) !== (compressionType !== COMPRESSION_TYPE.zlib),
    has(INCOMPATIBLE.extendedL2) && clusterBits < MIN_EXTENDED_CLUSTER_BITS,
    autoclearFeatures.includes(AUTOCLEAR.rawDataFile) && !has(INCOMPATIBLE.dataFile),
  ].indexOf(true);
}

/** Returns the index of the first rule that is violated by the sizes, counts and offsets of the tables, or -1. */
export function tableViolation(header: Header, geometry: Geometry, fileSize: number): number {
  const { size, l1Size, l1TableOffset, refcountTableClusters } = header;
  return [
    !Number.isSafeInteger(size),
    header.cryptMethod > CRYPT_METHOD.luks,
    header.refcountOrder > MAX_REFCOUNT_ORDER,
    l1Size > MAX_L1_BYTES / ENTRY_BYTES,
    isMisplaced(l1TableOffset, geometry),
    l1Size < l1EntriesFor(geometry, size),
    l1Size > 0 && l1EndOf(header) > fileSize,
    refcountTableClusters === 0,
    refcountTableClusters > MAX_REFCOUNT_TABLE_BYTES / geometry.clusterSize,
    isMisplaced(header.refcountTableOffset, geometry),
    header.snapshotCount > MAX_SNAPSHOTS,
    isMisplaced(header.snapshotsOffset, geometry),
  ].indexOf(true);
}

/** The end of the active L1 table, a host offset. */
export function l1EndOf({ l1TableOffset, l1Size }: Header): number {
  return l1TableOffset + l1Size * ENTRY_BYTES;
}

/** True for a host offset that is out of range or not a multiple of the cluster size. */
export function isMisplaced(offset: number, { clusterSize }: Pick<Geometry, 'clusterSize'>): boolean {
  return offset >= MAX_HOST_OFFSET || !Number.isSafeInteger(offset) || offset % clusterSize !== 0;
}

/** True for a backing file format extension that is longer than QEMU allows. */
export function isTooLongFormat(extension: HeaderExtension | undefined): boolean {
  return extension !== undefined && extension.data.length > MAX_BACKING_FORMAT_BYTES;
}
