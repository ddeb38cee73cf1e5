/** Finds entries of L2 tables that are plain but for COPIED: nearly all, in an image that has lost its refcounts. */
import { PLAIN_HIGH } from '../../format/plain-entries.js';
import type { PlainCounting } from './plain-entries.js';

/** Bytes of an entry. */
const ENTRY = 8;
/** The most entries of a run. If they cannot be counted, each of them is the first of another. */
const MAX_RUN = 512;

/** Entries whose COPIED flag is wrong, all for the same refcount. */
export interface MiscopiedRun {
  /** The byte after the last. */
  readonly end: number;
  readonly copied: boolean;
  readonly refcount: number;
}

/**
 * Returns the entries from the byte `from` on that are data clusters of the file, and whose COPIED flag alone is wrong;
 * null when the first is not.
 */
export function miscopiedRun(
  table: DataView,
  from: number,
  { clusterBits, clusters, refcounts }: Pick<PlainCounting, 'clusterBits' | 'clusters' | 'refcounts'>,
): MiscopiedRun | null {
  const { flags, copied, offset } = PLAIN_HIGH;
  const inCluster = (1 << clusterBits) - 1;
  const clustersPerWord = 2 ** (32 - clusterBits);
  const limit = Math.min(table.byteLength, from + MAX_RUN * ENTRY);
  let refcount = -1;
  let end = from;
  for (; end < limit; end += ENTRY) {
    const high = table.getInt32(end);
    const low = table.getInt32(end + 4);
    if ((high & flags) !== 0 || (low & inCluster) !== 0) break;
    const cluster = (high & offset) * clustersPerWord + (low >>> clusterBits);
    if (cluster === 0 || cluster >= clusters) break;
    const found = refcounts.get(cluster);
    if (((high & copied) !== 0) === (found === 1) || (end > from && found !== refcount)) break;
    refcount = found;
  }
  return end === from ? null : { end, copied: (table.getInt32(from) & copied) !== 0, refcount };
}
