/** Says what a cluster that is called two things can be, by what is in it. */
import { readBytes } from '../../engine/layer/read-bytes.js';
import { viewOf } from '../../format/bytes.js';
import { getL2Entry, l2TableOffset } from '../../format/entries.js';
import { l2Faults } from '../../format/entry-faults.js';
import type { Geometry } from '../../format/geometry.js';
import { isEmptyEntry } from '../../format/plain-entries.js';
import type { Medium } from './medium.js';

/** Tables that are looked at to tell what leads to them. */
const MAX_LOOKED_AT = 64;

/** True if every entry of a cluster could be that of an L2 table. */
export async function isPlausibleTable(medium: Medium, geometry: Geometry, at: number): Promise<boolean> {
  if (at >= medium.size) return false;
  const table = viewOf(await readBytes(medium, at, geometry.clusterSize));
  for (let index = 0; index < table.byteLength / geometry.l2EntrySize; index++) {
    const mapping = getL2Entry(geometry, table, index);
    const host = mapping.kind === 'unallocated' ? null : mapping.host;
    if (l2Faults(geometry, table, index, 0) !== 0 || (host !== null && host >= medium.size)) return false;
  }
  return true;
}

/** True if every entry could be that of an L1 table: it is empty, or leads into the file. */
export function isPlausibleL1(l1: DataView, fileSize: number): boolean {
  for (let index = 0; index < l1.byteLength / 8; index++) {
    const offset = l2TableOffset(l1, index);
    const isPlausible = offset !== 0 && offset % 512 === 0 && offset < fileSize;
    if (!isPlausible && !isEmptyEntry(l1, index * 8)) return false;
  }
  return true;
}

/**
 * True if what looks like an L1 table leads to clusters that look like L2 tables. The entries of an L2 table lead to
 * the guest's data, which seldom do, unless they are zeros.
 */
export async function leadsToTables(medium: Medium, geometry: Geometry, l1: DataView): Promise<boolean> {
  let found = 0;
  for (let index = 0; index < l1.byteLength / 8 && found < MAX_LOOKED_AT; index++) {
    const offset = l2TableOffset(l1, index);
    if (offset === 0) continue;
    if (offset % geometry.clusterSize !== 0 || !(await isPlausibleTable(medium, geometry, offset))) return false;
    found++;
  }
  return found > 0;
}
