/**
 * What can be wrong with entries of L1 and refcount tables, in the masks of `entry-faults.ts`, and the faults for which
 * only a write refuses an entry.
 */
import { L1_RESERVED_HIGH, L1_RESERVED_LOW, l2TableOffset } from './entries.js';
import { alignment, describeFault, RESERVED_BITS, UNREADABLE } from './entry-faults.js';
import type { Geometry } from './geometry.js';

/** Returns the faults of entry `index` of an L1 table as a mask, 0 for a valid one. */
export function l1Faults({ clusterSize }: Geometry, l1: DataView, index: number): number {
  const reserved = (l1.getUint32(index * 8) & L1_RESERVED_HIGH) | (l1.getUint32(index * 8 + 4) & L1_RESERVED_LOW);
  return offsetFaults(l2TableOffset(l1, index), clusterSize, reserved !== 0);
}

/** Returns the bits of an offset that is not a multiple of the cluster size, and of reserved bits. */
export function offsetFaults(offset: number, clusterSize: number, reserved: boolean): number {
  return (reserved ? RESERVED_BITS : 0) | alignment(offset, clusterSize);
}

/** Returns the bits of a mask of faults, in the order in which they are reported. */
export function faultsIn(faults: number): number[] {
  return Array.from({ length: 32 - Math.clz32(faults) }, (_, index) => 1 << index).filter((fault) => faults & fault);
}

/** The faults for which only a write refuses an entry, in the order of their bits. */
const WRITE_TEXTS = [
  'has bits set that must be zero',
  'is compressed and has COPIED set',
  'is compressed and has a subcluster bitmap',
];

/** As `describeFault`, for any fault. */
export function describeAnyFault(faults: number, offset: number): string {
  const inRead = faults & UNREADABLE;
  return inRead !== 0 ? describeFault(inRead, offset) : describeFault(faults / RESERVED_BITS, offset, WRITE_TEXTS);
}
