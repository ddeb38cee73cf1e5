/** Changes the COPIED flags of L1 and L2 tables: set where the refcount is exactly one (spec: "Cluster mapping"). */
import { COMPRESSED, COPIED } from './entries.js';
import type { Geometry } from './geometry.js';
import { getHost } from './host-words.js';

/**
 * Clears the flag in every entry of a table, whose entries are `entrySize` bytes long. Those of compressed clusters
 * never have it. Returns true if any had it.
 */
export function clearCopied(table: DataView, entrySize: number): boolean {
  let changed = false;
  for (let at = 0; at < table.byteLength; at += entrySize) {
    const high = table.getUint32(at);
    if ((high & COPIED) === 0) continue;
    table.setUint32(at, (high & ~COPIED) >>> 0);
    changed = true;
  }
  return changed;
}

/** Calls `visit` for every entry without the flag that refers to a whole host cluster. */
export function forEachUncopied(
  { l2EntrySize, l2Entries }: Pick<Geometry, 'l2EntrySize' | 'l2Entries'>,
  table: DataView,
  visit: (index: number, host: number) => void,
): void {
  for (let index = 0; index < l2Entries; index++) {
    const at = index * l2EntrySize;
    if ((table.getUint32(at) & (COPIED | COMPRESSED)) !== 0) continue;
    const host = getHost(table, at);
    if (host !== 0) visit(index, host);
  }
}
