/**
 * Finds free clusters for allocations: loads refcount blocks as the search needs them, and evicts those it has passed.
 */
import type { Steps } from '../async/steps.js';
import type { WriteState } from './write-state.js';

/**
 * Reserves `clusters` free clusters for the `allocate` calls that follow. In a full image the search is long, so few
 * blocks stay in memory.
 */
export function* findClusters({ space, refcounts, maxBlocks, loadBlocks }: WriteState, clusters: number): Steps {
  if (clusters === 0) return;
  const needed = (block: number) => space.needs(block);
  for (let missing = space.reserve(clusters); missing !== null; missing = space.continueSearch()) {
    refcounts.evict(maxBlocks, needed);
    yield* loadBlocks(missing);
  }
}

/**
 * Allocates `clusters` consecutive clusters, for a table, behind everything that the file contains. Returns the host
 * offset of the first.
 */
export function* takeConsecutive(state: WriteState, clusters: number): Steps<number> {
  const { space, refcounts, device, maxBlocks, loadBlocks } = state;
  const needed = (block: number) => space.needs(block);
  const from = Math.ceil(device.size / refcounts.clusterSize);
  for (
    let missing = space.reserveConsecutive(clusters, from);
    missing !== null;
    missing = space.continueConsecutive()
  ) {
    refcounts.evict(maxBlocks, needed);
    yield* loadBlocks(missing);
  }
  const first = space.allocate();
  for (let taken = 1; taken < clusters; taken++) space.allocate();
  return first;
}
