/** Cuts the free clusters off the end of an image file. */
import type { Steps } from '../async/steps.js';
import { flushes } from './flushes.js';
import type { WriteState } from './write-state.js';

/** Cuts the file after its last cluster in use. Everything must be written back. */
export function* cutFileEnd(state: WriteState): Steps {
  const { device, refcounts } = state;
  const end = (yield* lastUsedCluster(state)) + 1;
  if (end * refcounts.clusterSize >= device.size) return;
  yield device.truncate(end * refcounts.clusterSize);
  yield flushes.fileCut(state);
}

/** The last cluster of the file that has a refcount; -1 when there is none. */
function* lastUsedCluster(state: WriteState): Steps<number> {
  const { device, refcounts, maxBlocks, loadBlocks } = state;
  const { perBlock } = refcounts;
  for (let cluster = Math.ceil(device.size / refcounts.clusterSize) - 1; cluster >= 0; ) {
    const block = Math.floor(cluster / perBlock);
    if (refcounts.blockOffset(block) === 0) cluster = block * perBlock - 1;
    else {
      if (!refcounts.loaded(block)) {
        refcounts.evict(maxBlocks);
        yield* loadBlocks([block]);
      }
      for (; cluster >= block * perBlock; cluster--) if (refcounts.isUsed(cluster)) return cluster;
    }
  }
  return -1;
}
