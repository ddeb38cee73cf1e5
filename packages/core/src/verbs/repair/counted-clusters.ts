/** Searches the counts of a file's clusters. */
import { type ClusterCounts, nextPage } from '../../engine/allocation/cluster-counts.js';

/** The end of the last cluster with a count, as a cluster; 0 when none has any. */
export function countedEnd(counts: ClusterCounts): number {
  let end = 0;
  for (let page = 0; page < counts.clusters; page = nextPage(page)) {
    if (!counts.any(page)) continue;
    const pageEnd = Math.min(nextPage(page), counts.clusters);
    for (let cluster = page; cluster < pageEnd; cluster++) if (counts.get(cluster) > 0) end = cluster + 1;
  }
  return end;
}

/** Whether any of the clusters from `first` to before `end` has a count above `count`. */
export function anyCountAbove(count: number, counts: ClusterCounts, first: number, end: number): boolean {
  for (let page = first; page < end; page = nextPage(page)) {
    if (!counts.any(page)) continue;
    const pageEnd = Math.min(nextPage(page), end);
    for (let cluster = page; cluster < pageEnd; cluster++) if (counts.get(cluster) > count) return true;
  }
  return false;
}
