/** One L1 table of a check, and the places of its entries and of those of its L2 tables. */
import type { Geometry } from '../../format/geometry.js';
import type { Place } from './place.js';

/** The L1 table of the disk, or of a snapshot. */
export interface L1Table {
  /** The suffix of its tables' names: `''`, or ` of snapshot 2`. */
  readonly of: string;
  /** False for a snapshot's: its COPIED flags are ignored, and its clusters count in no figure. */
  readonly active: boolean;
  /** Offset in the file, bytes. */
  readonly at: number;
  readonly entries: number;
  /** Size of its disk, bytes. */
  readonly size: number;
}

/** The place of entry `index` of an L1 table. */
export function l1EntryPlace({ bytesPerL2 }: Geometry, table: L1Table, index: number): Place {
  const { of, at, size, active } = table;
  const maps = { start: index * bytesPerL2, length: bytesPerL2, size, active };
  return { what: `L1 entry ${index}${of}`, at: at + index * 8, maps };
}

/** The place of an entry of the L2 table at the offset `tableAt`, which entry `index` of an L1 table refers to. */
export function l2EntryPlace(
  { bytesPerL2, clusterSize, l2EntrySize }: Geometry,
  { of, size, active }: L1Table,
  index: number,
  tableAt: number,
  entry: number,
): Place {
  const maps = { start: index * bytesPerL2 + entry * clusterSize, length: clusterSize, size, active };
  return { what: `L2 table ${index}${of}, entry ${entry}`, at: tableAt + entry * l2EntrySize, maps };
}
