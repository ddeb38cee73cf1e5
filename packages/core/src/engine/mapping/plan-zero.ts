/** Plans zeroing: which L2 entries change, which clusters that frees, and where zeros must be written. */
import type { Mapping } from '../../format/entries.js';
import type { Geometry } from '../../format/geometry.js';
import {
  allSubclusters,
  type ClusterMapping,
  clusterMapping,
  type Freed,
  freedOf,
  subclusterMask,
} from './cluster-mapping.js';
import type { EntryChange } from './plan-write.js';

/** The plan for a range of one L2 table. */
export interface ZeroPlan {
  readonly changes: EntryChange[];
  readonly freed: Freed[];
  /** Guest ranges that an entry cannot mark as zero: zeros must be written there. */
  readonly written: { readonly start: number; readonly end: number }[];
}

/** The parameters of zeroing. */
export interface ZeroContext {
  readonly geometry: Geometry;
  /** True if there is no backing file, so that unallocated clusters read as zeros. */
  readonly base: boolean;
  /** True to free the clusters, false to keep them allocated. */
  readonly unmap: boolean;
}

/**
 * Plans to turn `[start, end)`, whole subclusters within one L2 table, into zeros. Version 2 has no zero flag: there
 * the range must read as zeros when it is unallocated.
 *
 * @throws {@link Qcow2Error} `corrupt` when an entry contradicts the specification.
 */
export function planZero(context: ZeroContext, l1Index: number, table: DataView, start: number, end: number): ZeroPlan {
  const { geometry } = context;
  const { clusterSize, subclusterSize, bytesPerL2 } = geometry;
  const plan: ZeroPlan = { changes: [], freed: [], written: [] };
  for (let at = start; at < end; ) {
    const cluster = at - (at % clusterSize);
    const upTo = Math.min(end, cluster + clusterSize);
    const index = Math.floor((at % bytesPerL2) / clusterSize);
    const old = clusterMapping(geometry, table, index, cluster);
    const touched = subclusterMask((at - cluster) / subclusterSize, (upTo - cluster) / subclusterSize - 1);
    if (old.stored > 0 && touched !== allSubclusters(geometry)) {
      plan.written.push({ start: at, end: upTo });
    } else {
      const mapping = zeroed(context, old, touched);
      if (mapping !== null) plan.changes.push({ l1Index, index, mapping });
      if (mapping !== null && old.host !== null && !keepsHost(mapping) && !geometry.externalData) {
        plan.freed.push(freedOf(geometry, old));
      }
    }
    at = upTo;
  }
  return plan;
}

function keepsHost(mapping: Mapping): boolean {
  return mapping.kind !== 'unallocated' && mapping.host !== null;
}

/** The new entry when the subclusters of `touched` become zeros; null when nothing changes. */
function zeroed({ geometry, base, unmap }: ZeroContext, old: ClusterMapping, touched: number): Mapping | null {
  const { host, owned } = old;
  const empty = host === null && old.zero === 0;
  if (base && empty) return null;
  if (geometry.version === 2) return empty ? null : { kind: 'unallocated' };
  const allocated = (old.allocated & ~touched) >>> 0;
  const zero = (old.zero | touched) >>> 0;
  // A host cluster is kept while it contains data, or when the caller wants to keep it. A compressed stream is never
  // kept.
  const keep = host !== null && old.stored === 0 && (allocated !== 0 || !unmap);
  if (zero === old.zero && allocated === old.allocated && keep === (host !== null)) return null;
  const hostFields = keep ? { host, owned } : { host: null, owned: false };
  return geometry.extendedL2
    ? { kind: 'subclusters', ...hostFields, allocated, zero }
    : { kind: 'zero', ...hostFields };
}
