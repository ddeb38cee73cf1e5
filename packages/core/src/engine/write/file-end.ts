/** Ends an image file with its last cluster in use. */
import type { Steps } from '../async/steps.js';
import { loadBlockOf } from './find-clusters.js';
import { flushes } from './flushes.js';
import type { WriteState } from './write-state.js';

/**
 * Cuts the file after its last cluster in use, or makes that cluster whole, if there is space for it. Everything must
 * be written back. The caller must have the exclusive lock.
 *
 * @throws {@link Qcow2Error} `corrupt` when metadata that no refcount counts would be cut off.
 */
export function* cutFileEnd(state: WriteState): Steps {
  const { device, refcounts, metadata } = state;
  const end = (yield* lastUsedCluster(state)) + 1;
  for (const cluster of metadata.clustersIn(end, Number.POSITIVE_INFINITY)) {
    const kind = metadata.kindOf(cluster)!;
    if (kind !== 'cluster past the end') metadata.refuseUncounted(cluster * refcounts.clusterSize, kind);
  }
  const size = end * refcounts.clusterSize;
  if (size === device.size) return;
  yield size < device.size ? device.truncate(size) : device.extend(size);
  yield flushes.fileCut(state);
}

/** The last cluster of the file that has a refcount; -1 when there is none. */
function* lastUsedCluster(state: WriteState): Steps<number> {
  const { device, refcounts } = state;
  const { perBlock } = refcounts;
  const counted = Math.min(Math.ceil(device.size / refcounts.clusterSize), refcounts.tableEntries * perBlock);
  for (let cluster = counted - 1; cluster >= 0; ) {
    const first = cluster - (cluster % perBlock);
    if (!(yield* loadBlockOf(state, cluster))) cluster = first - 1;
    else for (; cluster >= first; cluster--) if (refcounts.isUsed(cluster)) return cluster;
  }
  return -1;
}
