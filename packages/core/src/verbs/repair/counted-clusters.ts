/** Searches the counts of a file's clusters. */
import type { ClusterCounts } from '../../engine/allocation/cluster-counts.js';

/** Clusters that are skipped at once where nothing is counted: they are in one page of counts. */
const AT_ONCE = 4096;

/** Whether any of the clusters from `first` to before `end` has a count above `count`. */
export function anyCountAbove(count: number, counts: ClusterCounts, first: number, end: number): boolean {
  for (let cluster = first; cluster < end; cluster++) {
    if (cluster % AT_ONCE === 0 && !counts.any(cluster)) cluster += AT_ONCE - 1;
    else if (counts.get(cluster) > count) return true;
  }
  return false;
}
