/**
 * Finds free clusters for whatever allocates: loads the refcount blocks on the way, and evicts those that were passed.
 */
import type { Steps } from '../async/steps.js';
import type { WriteState } from './write-state.js';

/**
 * Reserves as many free clusters for the `allocate` calls that follow. In a full image the way is long: few blocks are
 * kept.
 */
export function* findClusters({ space, refcounts, mostBlocks, loadBlocks }: WriteState, clusters: number): Steps {
  if (clusters === 0) return;
  const needed = (block: number) => space.needs(block);
  for (let missing = space.reserve(clusters); missing !== null; missing = space.searchOn()) {
    refcounts.evict(mostBlocks, needed);
    yield* loadBlocks(missing);
  }
}
