/** Adds up how many bytes of an image file belong to what. */
import type { Usage } from '../../api/usage.js';
import { type ClusterCounts, nextPage } from '../../engine/allocation/cluster-counts.js';
import { decodeName } from '../../format/names.js';
import type { Snapshot } from '../../format/snapshots.js';
import { FIRST_SNAPSHOT, OWNER, type OwnerContext } from './owners.js';

/** The clusters of the file by what they belong to. */
class Sums {
  leaks = 0;
  uncounted = 0;
  /** By owner; those without one are free. */
  readonly owned: Float64Array;
  readonly #owners: ClusterCounts;
  readonly #refcounts: ClusterCounts;

  constructor(owners: ClusterCounts, refcounts: ClusterCounts, snapshots: number) {
    this.#owners = owners;
    this.#refcounts = refcounts;
    this.owned = new Float64Array(FIRST_SNAPSHOT + snapshots);
  }

  /** Adds the clusters of one page of counts, from its first to before `end`. */
  addPage(first: number, end: number): void {
    if (!this.#owners.any(first) && !this.#refcounts.any(first)) {
      this.owned[OWNER.none]! += end - first;
      return;
    }
    // In locals, since imports and fields would be looked up for every cluster. Nearly all have the owner of the one
    // before, and a refcount.
    const { none } = OWNER;
    const clusters = end - first;
    const owners = this.#owners.page(first);
    const refcounts = this.#refcounts.page(first);
    for (let index = 0; index < clusters; ) {
      const owner = owners.get(index);
      const isFree = owner === none;
      let next = index;
      while (next < clusters && owners.get(next) === owner && (refcounts.get(next) === 0) === isFree) next++;
      this.owned[owner]! += next - index;
      if (next === index) this.add(first + next++, 1);
      index = next;
    }
  }

  /** Adds a part of a cluster. */
  add(cluster: number, part: number): void {
    const owner = this.#owners.get(cluster);
    const isCounted = this.#refcounts.get(cluster) > 0;
    if (owner === OWNER.none && isCounted) this.leaks += part;
    else if (owner !== OWNER.none && !isCounted) this.uncounted += part;
    else this.owned[owner]! += part;
  }
}

/** The usage of the file, from the owners and the refcounts of its clusters. */
export async function sumUsage(
  { owners, clusters, fileSize, geometry, signal }: OwnerContext,
  refcounts: ClusterCounts,
  snapshots: readonly Snapshot[],
  yieldIfDue: () => Promise<void>,
): Promise<Usage> {
  const { clusterSize } = geometry;
  const sums = new Sums(owners, refcounts, snapshots.length);
  for (let first = 0; first < clusters; first = nextPage(first)) {
    sums.addPage(first, Math.min(nextPage(first), clusters));
    await yieldIfDue();
    signal?.throwIfAborted();
  }
  // The last cluster may be short: a whole number of bytes of it, and a power of two in a cluster, so this is exact.
  sums.add(clusters - 1, fileSize / clusterSize - clusters);
  const bytesOf = (owner: number) => sums.owned[owner]! * clusterSize;
  return {
    fileSize,
    data: bytesOf(OWNER.data),
    snapshots: snapshots.map(({ id, name }, index) => {
      return { id: decodeName(id), name: decodeName(name), exclusive: bytesOf(FIRST_SNAPSHOT + index) };
    }),
    sharedSnapshots: bytesOf(OWNER.snapshots),
    tables: bytesOf(OWNER.tables),
    bitmaps: bytesOf(OWNER.bitmaps),
    leaks: sums.leaks * clusterSize,
    uncounted: sums.uncounted * clusterSize,
    free: bytesOf(OWNER.none),
  };
}
