/** Decodes entries of the refcount table (spec: "Host cluster management"). */
import { offsetFaults } from './table-faults.js';

/** The bits of an entry of the refcount table, low word, that must be zero. */
const RESERVED_LOW = 0x1ff;

/**
 * Decodes entry `index` of a refcount table: the offset of a refcount block, 0 when there is none, and whether a
 * reserved bit is set. All but the lowest nine bits are the offset. From 2^53 on it is inexact, but then it is past the
 * end of every file.
 */
export function getRefcountTableEntry(table: DataView, index: number): { offset: number; reserved: boolean } {
  const low = table.getUint32(index * 8 + 4);
  return {
    offset: table.getUint32(index * 8) * 0x1_0000_0000 + ((low & ~RESERVED_LOW) >>> 0),
    reserved: (low & RESERVED_LOW) !== 0,
  };
}

/**
 * Returns the faults of entry `index` of a refcount table as a mask, 0 for a valid one. Their names are those of
 * `entry-faults.ts`.
 */
export function refcountTableFaults(clusterSize: number, table: DataView, index: number): number {
  const { offset, reserved } = getRefcountTableEntry(table, index);
  return offsetFaults(offset, clusterSize, reserved);
}
