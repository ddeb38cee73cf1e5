/** Plans unmapping: the L2 entries that become unallocated, and the clusters that this frees. */
import type { Geometry } from '../../format/geometry.js';
import { clusterMapping, type Freed, freedOf } from './cluster-mapping.js';
import type { EntryChange } from './plan-write.js';

/** The plan for the entries of one L2 table. */
export interface UnmapPlan {
  readonly changes: EntryChange[];
  readonly freed: Freed[];
}

/**
 * Plans to unmap the guest clusters from `start` on, up to the end of the L2 table of the L1 entry `l1Index`.
 *
 * @throws {@link Qcow2Error} `corrupt` when an entry contradicts the specification.
 */
export function planUnmap(geometry: Geometry, l1Index: number, table: DataView, start: number): UnmapPlan {
  const { clusterSize, bytesPerL2, l2Entries } = geometry;
  const plan: UnmapPlan = { changes: [], freed: [] };
  for (let index = (start % bytesPerL2) / clusterSize; index < l2Entries; index++) {
    const old = clusterMapping(geometry, table, index, l1Index * bytesPerL2 + index * clusterSize);
    if (old.host === null && old.zero === 0) continue;
    plan.changes.push({ l1Index, index, mapping: { kind: 'unallocated' } });
    if (old.host !== null) plan.freed.push(freedOf(geometry, old));
  }
  return plan;
}
