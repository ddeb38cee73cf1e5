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
  L1_RESERVED_HIGH,
  L1_RESERVED_LOW,
  L2_RESERVED_HIGH,
  L2_RESERVED_LOW,
  l2TableOffset,
  standardOffset,
  ZERO,
} from './entries.js';
import type { Geometry } from './geometry.js';
import { getRefcountTableEntry } from './refcounts.js';

/** The name of a fault of an entry. */
export type EntryFault =
  /** Bits are set that must be zero. */
  | 'reserved-bits'
  /** The offset is not a multiple of the cluster size. */
  | 'unaligned'
  /** A compressed cluster has COPIED set. */
  | 'copied-compressed'
  /** A compressed cluster has a subcluster bitmap. */
  | 'compressed-bitmap'
  /** A compressed cluster, in an image with an external data file. */
  | 'compressed-data-file'
  /** A compressed cluster is at an offset past 2^53 - 1. */
  | 'compressed-offset'
  /** The zero flag, in version 2. */
  | 'zero-flag'
  /** Subclusters are both allocated and zero. */
  | 'subclusters-both'
  /** Subclusters are allocated, and there is no host cluster. */
  | 'subclusters-nowhere'
  /** A cluster is not at its guest offset in the external data file. */
  | 'data-file-offset';

/** The bit of each fault in a mask, in the order in which they are reported. */
const BIT: Readonly<Record<EntryFault, number>> = {
  'reserved-bits': 1,
  'copied-compressed': 2,
  'compressed-data-file': 4,
  'compressed-bitmap': 8,
  'compressed-offset': 16,
  'zero-flag': 32,
  'subclusters-both': 64,
  'subclusters-nowhere': 128,
  unaligned: 256,
  'data-file-offset': 512,
};

/**
 * The faults for which a read refuses an L2 entry: it does not say where the bytes are. The others do not change that,
 * and QEMU reads such clusters, too. A write refuses every fault.
 */
export const UNREADABLE: number =
  BIT['compressed-data-file'] |
  BIT['compressed-offset'] |
  BIT['zero-flag'] |
  BIT['subclusters-both'] |
  BIT['subclusters-nowhere'] |
  BIT.unaligned |
  BIT['data-file-offset'];

/** The faults for which a read refuses an L1 entry. */
export const UNREADABLE_L1: number = BIT.unaligned;

/** Returns the faults of entry `index` of an L1 table as a mask, 0 for a valid one. */
export function l1Faults({ clusterSize }: Geometry, l1: DataView, index: number): number {
  const reserved = (l1.getUint32(index * 8) & L1_RESERVED_HIGH) | (l1.getUint32(index * 8 + 4) & L1_RESERVED_LOW);
  return (reserved === 0 ? 0 : BIT['reserved-bits']) | alignment(l2TableOffset(l1, index), clusterSize);
}

/** Returns the faults of entry `index` of a refcount table as a mask, 0 for a valid one. */
export function refcountTableFaults(clusterSize: number, table: DataView, index: number): number {
  const { offset, reserved } = getRefcountTableEntry(table, index);
  return (reserved ? BIT['reserved-bits'] : 0) | alignment(offset, clusterSize);
}

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
  let faults = (high & L2_RESERVED_HIGH) === 0 && (low & L2_RESERVED_LOW) === 0 ? 0 : BIT['reserved-bits'];
  if (geometry.extendedL2) {
    const zero = l2.getUint32(at + 8);
    const allocated = l2.getUint32(at + 12);
    if (offset === null && allocated !== 0) faults |= BIT['subclusters-nowhere'];
    if (offset !== null && (zero & allocated) !== 0) faults |= BIT['subclusters-both'];
  } else if ((low & ZERO) !== 0 && geometry.version === 2) faults |= BIT['zero-flag'];
  if (offset === null) return faults;
  faults |= alignment(offset, geometry.clusterSize);
  return geometry.externalData && offset !== guest ? faults | BIT['data-file-offset'] : faults;
}

function compressedFaults(geometry: Geometry, l2: DataView, index: number, high: number): number {
  const copied = (high & COPIED) === 0 ? 0 : BIT['copied-compressed'];
  // QEMU does not look further at such an entry.
  if (geometry.externalData) return copied | BIT['compressed-data-file'];
  const offset = Number.isSafeInteger(compressedOffset(geometry, l2, index)) ? 0 : BIT['compressed-offset'];
  if (!geometry.extendedL2) return copied | offset;
  const at = index * geometry.l2EntrySize;
  const bitmap = (l2.getUint32(at + 8) | l2.getUint32(at + 12)) === 0 ? 0 : BIT['compressed-bitmap'];
  return copied | bitmap | offset;
}

function alignment(offset: number, clusterSize: number): number {
  return offset % clusterSize === 0 ? 0 : BIT.unaligned;
}

/** Returns the names of the faults in a mask, in the order in which they are reported. */
export function faultNames(faults: number): readonly EntryFault[] {
  return NAMES.filter((name) => (faults & BIT[name]) !== 0);
}

const NAMES = Object.keys(BIT) as readonly EntryFault[];

/** Returns a predicate that describes a fault; `offset` is the one that the entry contains. */
export function describeFault(fault: EntryFault, offset: number): string {
  switch (fault) {
    case 'reserved-bits':
      return 'has bits set that must be zero';
    case 'unaligned':
      return `points to ${hex(offset)}, which is not a multiple of the cluster size`;
    case 'copied-compressed':
      return 'is compressed and has COPIED set';
    case 'compressed-bitmap':
      return 'is compressed and has a subcluster bitmap';
    case 'compressed-data-file':
      return 'is compressed, in an image with an external data file';
    case 'compressed-offset':
      return 'is compressed, at an offset past 2^53 - 1';
    case 'zero-flag':
      return 'has the zero flag, which version 2 does not have';
    case 'subclusters-both':
      return 'has subclusters that are both allocated and zero';
    case 'subclusters-nowhere':
      return 'has allocated subclusters and no host cluster';
    case 'data-file-offset':
      return `points to ${hex(offset)} in the external data file, where it must equal the guest offset`;
  }
}
