/**
 * Finds free clusters for allocations: loads refcount blocks as the search needs them, and evicts those it has passed.
 */
import type { Steps } from '../async/steps.js';
import type { WriteState } from './write-state.js';

/**
 * Reserves `clusters` free clusters for the `allocate` calls that follow. In a full image the search is long, so few
 * blocks stay in memory.
 */
export function* findClusters(state: WriteState, clusters: number): Steps {
  if (clusters === 0) return;
  const { space } = state;
  yield* search(state, space.reserve(clusters), () => space.continueSearch());
}

/**
 * Allocates `clusters` consecutive clusters, for a table: the first that are free from the cluster `from` on, by
 * default behind everything that the file contains. Returns the host offset of the first.
 */
export function* takeConsecutive(
  state: WriteState,
  clusters: number,
  from: number = Math.ceil(state.device.size / state.refcounts.clusterSize),
): Steps<number> {
  const { space } = state;
  yield* search(state, space.reserveConsecutive(clusters, from), () => space.continueConsecutive());
  const first = space.allocate();
  for (let taken = 1; taken < clusters; taken++) space.allocate();
  return first;
}

/** Allocates the clusters of a table: one anywhere, several in a row. Returns the host offset of the first. */
export function* takeTable(state: WriteState, clusters: number): Steps<number> {
  if (clusters > 1) return yield* takeConsecutive(state, clusters);
  yield* findClusters(state, 1);
  return state.space.allocate();
}

/** Loads the refcount block of a cluster; returns false if it has none, and is free. */
export function* loadBlockOf({ refcounts, maxBlocks, loadBlocks }: WriteState, cluster: number): Steps<boolean> {
  const block = Math.floor(cluster / refcounts.perBlock);
  if (refcounts.loaded(block)) return true;
  if (refcounts.blockOffset(block) === 0) return false;
  refcounts.evict(maxBlocks);
  yield* loadBlocks([block]);
  return true;
}

/** True if the refcount of the cluster at the host offset `host` is exactly one. Loads its refcount block. */
export function* isSingle(state: WriteState, host: number): Steps<boolean> {
  const cluster = Math.floor(host / state.refcounts.clusterSize);
  return (yield* loadBlockOf(state, cluster)) && state.refcounts.isSingle(cluster);
}

/**
 * Reserves up to `clusters` free clusters before the cluster `limit`, for the `allocate` calls that follow. Returns how
 * many there are.
 */
export function* findClustersBelow(state: WriteState, clusters: number, limit: number): Steps<number> {
  const { space } = state;
  yield* search(state, space.reserveBelow(clusters, limit), () => space.continueSearch());
  return space.reserved;
}

/** Runs a search to its end, from the blocks on that it needs first. `next` continues it, and returns what it needs. */
function* search(
  { space, refcounts, maxBlocks, loadBlocks }: WriteState,
  first: readonly number[] | null,
  next: () => readonly number[] | null,
): Steps {
  for (let missing = first; missing !== null; missing = next()) {
    refcounts.evict(maxBlocks, (block) => space.needs(block));
    yield* loadBlocks(missing);
  }
}
