/**
 * What can be wrong with one table entry. This is the only classification: reading, writing and checking use it. A
 * check also compares entries with refcounts, with the length of the file, and with each other
 * (spec: "Cluster mapping", "Extended L2 Entries", "Host cluster management").
 */
import { hex } from './bytes.js';
import {
  COMPRESSED,
  COPIED,
  compressedOffset,
  L2_RESERVED_HIGH,
  L2_RESERVED_LOW,
  standardOffset,
  ZERO,
} from './entries.js';
import type { Geometry } from './geometry.js';

/** A compressed cluster, in an image with an external data file. This and the next constants are bits of a mask. */
export const COMPRESSED_DATA_FILE = 1;
/** A compressed cluster is at an offset past 2^53 - 1. */
export const COMPRESSED_OFFSET = 2;
/** The zero flag, in version 2. */
export const ZERO_FLAG = 4;
/** Subclusters are both allocated and zero. */
export const SUBCLUSTERS_BOTH = 8;
/** Subclusters are allocated, and there is no host cluster. */
export const SUBCLUSTERS_NOWHERE = 16;
/** The offset is not a multiple of the cluster size. */
export const UNALIGNED = 32;
/** A cluster is not at its guest offset in the external data file. */
export const DATA_FILE_OFFSET = 64;
/**
 * Bits are set that must be zero. For this fault and the next two a read does not refuse an entry: they do not hide
 * where the bytes are, and QEMU reads such clusters, too. A write refuses every fault.
 */
export const RESERVED_BITS = 128;
/** A compressed cluster has COPIED set. */
export const COPIED_COMPRESSED = 256;
/** A compressed cluster has a subcluster bitmap. */
export const COMPRESSED_BITMAP = 512;

/** The faults for which a read refuses an L2 entry: it does not say where the bytes are. */
export const UNREADABLE: number = RESERVED_BITS - 1;

/** The faults for which a read refuses an entry, as predicates; `%` is the offset that the entry contains. */
const TEXTS: readonly string[] = [
  'is compressed, in an image with an external data file',
  'is compressed, at an offset past 2^53 - 1',
  'has the zero flag, which version 2 does not have',
  'has subclusters that are both allocated and zero',
  'has allocated subclusters and no host cluster',
  'points to %, which is not a multiple of the cluster size',
  'points to % in the external data file, where it must equal the guest offset',
];

/**
 * Returns the faults of entry `index` of an L2 table as a mask, 0 for a valid one; `guest` is the guest offset of its
 * cluster. Allocates nothing: every read calls it.
 */
export function l2Faults(geometry: Geometry, l2: DataView, index: number, guest: number): number {
  const at = index * geometry.l2EntrySize;
  const high = l2.getUint32(at);
  if ((high & COMPRESSED) !== 0) return compressedFaults(geometry, l2, index, high);
  const low = l2.getUint32(at + 4);
  const offset = standardOffset(geometry, l2, index);
  let faults = (high & L2_RESERVED_HIGH) === 0 && (low & L2_RESERVED_LOW) === 0 ? 0 : RESERVED_BITS;
  if (geometry.extendedL2) {
    const zero = l2.getUint32(at + 8);
    const allocated = l2.getUint32(at + 12);
    if (offset === null && allocated !== 0) faults |= SUBCLUSTERS_NOWHERE;
    if (offset !== null && (zero & allocated) !== 0) faults |= SUBCLUSTERS_BOTH;
  } else if ((low & ZERO) !== 0 && geometry.version === 2) faults |= ZERO_FLAG;
  if (offset === null) return faults;
  faults |= alignment(offset, geometry.clusterSize);
  return geometry.externalData && offset !== guest ? faults | DATA_FILE_OFFSET : faults;
}

function compressedFaults(geometry: Geometry, l2: DataView, index: number, high: number): number {
  const copied = (high & COPIED) === 0 ? 0 : COPIED_COMPRESSED;
  // QEMU does not look further at such an entry.
  if (geometry.externalData) return copied | COMPRESSED_DATA_FILE;
  const offset = Number.isSafeInteger(compressedOffset(geometry, l2, index)) ? 0 : COMPRESSED_OFFSET;
  if (!geometry.extendedL2) return copied | offset;
  const at = index * geometry.l2EntrySize;
  const bitmap = (l2.getUint32(at + 8) | l2.getUint32(at + 12)) === 0 ? 0 : COMPRESSED_BITMAP;
  return copied | bitmap | offset;
}

/** Returns {@link UNALIGNED} for an offset that is not a multiple of the cluster size, else 0. */
export function alignment(offset: number, clusterSize: number): number {
  return offset % clusterSize === 0 ? 0 : UNALIGNED;
}

/**
 * Describes the first fault of a mask, as a predicate; `offset` is the one that the entry contains. Faults for which
 * only a write refuses an entry are described by `describeAnyFault`.
 */
export function describeFault(faults: number, offset: number, texts: readonly string[] = TEXTS): string {
  return texts[31 - Math.clz32(faults & -faults)]!.replace('%', hex(offset));
}
