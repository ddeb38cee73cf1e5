/**
 * Owns the plan of zeroing: which entries say "zeros" from now on, which clusters that frees, and what must be written.
 */
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

/** What zeroing a range of one L2 table comes to. */
export interface ZeroPlan {
  readonly changes: EntryChange[];
  readonly freed: Freed[];
  /** Guest ranges that no entry can call zero: their zeros must be written. */
  readonly written: { readonly start: number; readonly end: number }[];
}

/** How a range becomes zeros. */
export interface ZeroContext {
  readonly geometry: Geometry;
  /** What no layer holds reads as zeros: no other layer follows. */
  readonly base: boolean;
  /** Whether the clusters are given up, or kept for later. */
  readonly unmap: boolean;
}

/**
 * Plans to turn `[start, end)`, whole subclusters within the reach of one L2 table, into zeros. For version 2, which
 * cannot say "zeros", the range must be one that reads as zeros when nothing is allocated.
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

/** What the entry becomes when the subclusters of `touched` become zeros; null when nothing changes. */
function zeroed({ geometry, base, unmap }: ZeroContext, old: ClusterMapping, touched: number): Mapping | null {
  const { host, owned } = old;
  const empty = host === null && old.zero === 0;
  if (base && empty) return null;
  if (geometry.version === 2) return empty ? null : { kind: 'unallocated' };
  const allocated = (old.allocated & ~touched) >>> 0;
  const zero = (old.zero | touched) >>> 0;
  // A host cluster is kept while it holds bytes, or when the caller wants it kept; a stream is of no use any more.
  const keep = host !== null && old.stored === 0 && (allocated !== 0 || !unmap);
  if (zero === old.zero && allocated === old.allocated && keep === (host !== null)) return null;
  const place = keep ? { host, owned } : { host: null, owned: false };
  return geometry.extendedL2 ? { kind: 'subclusters', ...place, allocated, zero } : { kind: 'zero', ...place };
}
