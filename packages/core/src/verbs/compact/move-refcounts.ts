/**
 * Moves refcount blocks and the refcount table, and removes blocks that count no cluster. Each of these steps must
 * follow `settle`, with the exclusive lock.
 */
import type { Steps } from '../../engine/async/steps.js';
import { findClustersBelow, loadBlockOf, takeConsecutive } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import { freedOnFailure } from '../../engine/write/taken-clusters.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { WriteState } from '../../engine/write/write-state.js';
import type { Moved } from './move-clusters.js';
import { placeFor } from './move-tables.js';

const ENTRY_BYTES = 8;
/** Refcount blocks that one slice reads. */
const BLOCKS_PER_SLICE = 256;

/** Moves the block `index` to a free cluster before the cluster `limit`, if there is one. */
export function* moveBlock({ state, layer }: Structure, index: number, limit: number): Steps<Moved> {
  const { refcounts, space } = state;
  const { clusterSize } = layer.geometry;
  const host = refcounts.blockOffset(index);
  if (host === 0 || (yield* findClustersBelow(state, 1, limit)) === 0) return { copied: 0, updated: 0 };
  const to = space.allocate();
  // The cluster is counted on the medium before the table refers to it.
  yield* freedOnFailure(state, to, 1, writeBackAndLoad(state, index));
  refcounts.moveBlock(index, to);
  space.retire({ host, length: clusterSize });
  yield* writeBack(state, 'check');
  return { copied: 1, updated: 1 };
}

function* writeBackAndLoad(state: WriteState, block: number): Steps {
  yield* writeBack(state, 'check');
  yield* loadBlockOf(state, block * state.refcounts.perBlock);
}

/**
 * Removes the blocks from `index` on that count no cluster in use but their own, as far as one slice goes. Returns how
 * many there were, and the index with which to continue.
 */
export function* dropEmptyBlocks(
  { state, layer }: Structure,
  index: number,
): Steps<{ readonly next: number; readonly dropped: number }> {
  const { refcounts, space } = state;
  let block = index;
  let dropped = 0;
  for (let count = 0; count < BLOCKS_PER_SLICE && block < refcounts.tableEntries; block++) {
    const host = refcounts.blockOffset(block);
    if (host === 0) continue;
    count++;
    yield* loadBlockOf(state, block * refcounts.perBlock);
    const own = Math.floor(host / layer.geometry.clusterSize / refcounts.perBlock) === block ? 1 : 0;
    if (refcounts.usedIn(block) !== own) continue;
    space.dropBlock(block);
    dropped++;
  }
  yield* writeBack(state, 'check');
  return { next: block, dropped };
}

/**
 * Makes the refcount table as short as its entries allow, and moves it to free clusters from the cluster `from` on that
 * are before it, if there are any.
 */
export function* packRefcountTable(structure: Structure, from: number): Steps<Moved> {
  const { state, layer } = structure;
  const { refcounts, space, metadata } = state;
  const { clusterSize } = layer.geometry;
  const { at, clusters } = refcounts.location;
  const needed = neededClusters(state);
  const place = yield* placeFor(structure, { host: at, clusters: needed }, from);
  if (place === null) {
    if (needed === clusters) return { copied: 0, updated: 0 };
    refcounts.moveTable(at, needed);
    space.retire({ host: at + needed * clusterSize, length: (clusters - needed) * clusterSize });
    yield* writeBack(state, 'check');
    return { copied: 0, updated: 1 };
  }
  const to = yield* takeConsecutive(state, needed, place / clusterSize);
  if (refcounts.location.at !== at || neededClusters(state) !== needed) {
    // A block was added that counts the place: the table has grown meanwhile, and moved by itself or fits no more.
    space.retire({ host: to, length: needed * clusterSize });
    yield* writeBack(state, 'check');
    return { copied: 0, updated: 0 };
  }
  metadata.add('refcount table', to, needed * clusterSize);
  yield* freedOnFailure(state, to, needed, writeBack(state, 'check'));
  refcounts.moveTable(to, needed);
  space.retire({ host: at, length: clusters * clusterSize });
  yield* writeBack(state, 'check');
  return { copied: needed, updated: 1 };
}

/** The clusters that the refcount table needs for its entries. */
function neededClusters({ refcounts }: WriteState): number {
  let entries = refcounts.tableEntries;
  while (entries > 0 && refcounts.blockOffset(entries - 1) === 0) entries--;
  return Math.max(1, Math.ceil((entries * ENTRY_BYTES) / refcounts.clusterSize));
}
