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
  return (await entriesIn(medium, geometry, at)) !== null;
}

/** As {@link isPlausibleTable}, if any entry maps something: zeros can as well be a guest's data. */
export async function isFilledTable(medium: Medium, geometry: Geometry, at: number): Promise<boolean> {
  return ((await entriesIn(medium, geometry, at)) ?? 0) > 0;
}

/** How many entries of an L2 table are not empty; null for a cluster that cannot be one. */
async function entriesIn(medium: Medium, geometry: Geometry, host: number): Promise<number | null> {
  if (host >= medium.size) return null;
  const table = viewOf(await readBytes(medium, host, geometry.clusterSize));
  let entries = 0;
  for (let index = 0; index < table.byteLength / geometry.l2EntrySize; index++) {
    const mapping = getL2Entry(geometry, table, index);
    const leadsTo = mapping.kind === 'unallocated' ? null : mapping.host;
    if (l2Faults(geometry, table, index, 0) !== 0 || (leadsTo !== null && leadsTo >= medium.size)) return null;
    const at = index * geometry.l2EntrySize;
    if (!isEmptyEntry(table, at) || (geometry.extendedL2 && !isEmptyEntry(table, at + 8))) entries++;
  }
  return entries;
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
