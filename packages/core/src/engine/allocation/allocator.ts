/**
 * Allocates free clusters, and keeps the quarantine: a freed cluster stays counted, and so is not allocated again,
 * until the write-back that frees it has passed its roots stage. Synchronous; returns the indexes of blocks that must
 * be loaded first.
 */
import type { SpaceStats } from '../../api/info.js';
import { Qcow2Error } from '../../errors.js';
import type { Freed } from '../mapping/cluster-mapping.js';
import type { Allocator } from '../mapping/plan-write.js';
import { FreeRuns, LONG_RUN } from './free-runs.js';
import type { MetadataMap } from './metadata-map.js';
import type { Refcounts } from './refcounts.js';

/** Blocks to load in one batch, so that the search through a large file makes few calls. */
const BLOCKS_AHEAD = 16;
/** Clusters from `start` to before `end`. */
interface Run {
  start: number;
  readonly end: number;
}

/** A search for free clusters. */
interface Search {
  /** The cluster with which it continues. */
  at: number;
  /** Clusters that it has still to find. */
  missing: number;
  /** Shorter runs are skipped. */
  readonly length: number;
  /** It ends before this cluster. */
  readonly limit: number;
}

/** Allocates the free clusters of an image. */
export class SpaceAllocator implements Allocator {
  readonly #refcounts: Refcounts;
  readonly #metadata: MetadataMap;
  readonly #runs = new FreeRuns();
  #reserved: Run[] = [];
  #search: Search = { at: 0, missing: 0, length: 1, limit: Number.POSITIVE_INFINITY };
  /** Clusters that were moved to others since the image was opened. */
  moved = 0;
  /** Freed clusters, and how many references each loses. */
  readonly quarantine: Map<number, number> = new Map();
  /** The clusters in quarantine whose entries did not have the COPIED flag: a snapshot refers to them, too. */
  readonly #shared = new Set<number>();
  readonly #hasSnapshots: () => boolean;

  constructor(refcounts: Refcounts, metadata: MetadataMap, hasSnapshots: () => boolean) {
    this.#refcounts = refcounts;
    this.#metadata = metadata;
    this.#hasSnapshots = hasSnapshots;
  }

  /**
   * Reserves `clusters` free clusters, in few runs, for the {@link allocate} calls that follow. A request for several
   * clusters skips shorter free runs, to avoid fragmentation. Returns the blocks that must be loaded before
   * {@link continueSearch} can continue, or null when it is done; `findClusters` does both.
   *
   * @throws {@link Qcow2Error} `corrupt` when a new refcount block would overwrite metadata with refcount 0, `no-space`
   *   when the image is full.
   */
  reserve(clusters: number): readonly number[] | null {
    return this.#startSearch(clusters, Math.min(clusters, LONG_RUN), Number.POSITIVE_INFINITY);
  }

  /**
   * As {@link reserve}, with free runs of any length, and none from the cluster `limit` on: there may be less than
   * `clusters` before it. {@link reserved} says how many were found.
   */
  reserveBelow(clusters: number, limit: number): readonly number[] | null {
    return this.#startSearch(clusters, 1, limit);
  }

  /** The number of clusters that are reserved, and not allocated yet. */
  get reserved(): number {
    return this.#reserved.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  #startSearch(missing: number, length: number, limit: number): readonly number[] | null {
    // First, since what is dropped may lie before where the search would begin, and would be passed for good.
    this.#dropReserved();
    this.#search = { at: this.#runs.start(length), missing, length, limit };
    return this.continueSearch();
  }

  /** Continues the search of {@link reserve}. The blocks that it has passed may be evicted in between. */
  continueSearch(): readonly number[] | null {
    const refcounts = this.#refcounts;
    const search = this.#search;
    while (search.missing > 0 && search.at < search.limit) {
      const block = this.#blockOf(search.at);
      const blockEnd = Math.min(search.limit, (block + 1) * refcounts.perBlock);
      const length = Math.min(search.missing, search.length);
      if (refcounts.blockOffset(block) === 0) this.#addBlock(block);
      else if (this.#runs.skips(block, length)) {
        search.at = blockEnd;
        continue;
      } else if (!refcounts.loaded(block)) return this.#blocksToSearch(block, length);
      const start = refcounts.nextFree(search.at, blockEnd);
      const end = start === blockEnd ? start : refcounts.nextUsed(start, Math.min(blockEnd, start + search.missing));
      if (end - start >= length || (end === blockEnd && end > start)) {
        this.#reserved.push({ start, end });
        search.missing -= end - start;
      }
      if (end === (block + 1) * refcounts.perBlock) this.#runs.exhausted(block, search.length);
      search.at = end;
    }
    this.#runs.passed(search.length, search.at);
    return null;
  }

  /**
   * Reserves `clusters` consecutive free clusters, for the {@link allocate} calls that follow. They are searched from
   * the cluster `from` on, so that a search from the end of the file does not depend on its length. Returns blocks that
   * must be loaded, as {@link reserve}; then {@link continueConsecutive} continues.
   *
   * @throws {@link Qcow2Error} as {@link reserve}.
   */
  reserveConsecutive(clusters: number, from: number): readonly number[] | null {
    this.#dropReserved();
    this.#search = { at: from, missing: clusters, length: clusters, limit: Number.POSITIVE_INFINITY };
    return this.continueConsecutive();
  }

  /** Continues the search of {@link reserveConsecutive}. */
  continueConsecutive(): readonly number[] | null {
    const refcounts = this.#refcounts;
    const { length } = this.#search;
    let { at: start } = this.#search;
    for (let at = start; at - start < length; this.#search.at = start) {
      const block = this.#blockOf(at);
      const blockEnd = (block + 1) * refcounts.perBlock;
      if (refcounts.blockOffset(block) === 0) at = start = this.#addRoom(block, length);
      else if (!refcounts.loaded(block)) return [block];
      else {
        const used = refcounts.nextUsed(at, Math.min(blockEnd, start + length));
        if (used === at) at = start = refcounts.nextFree(at, blockEnd);
        else at = used;
      }
    }
    this.#reserved.push({ start, end: start + length });
    return null;
  }

  /** What is known of the clusters of a file of `fileSize` bytes without reading any of it. */
  stats(fileSize: number): SpaceStats {
    const { allocated, released, clusterSize } = this.#refcounts;
    return {
      allocatedClusters: allocated,
      releasedClusters: released,
      movedClusters: this.moved,
      quarantinedClusters: this.quarantine.size,
      freeClusters: this.#refcounts.countFree(Math.ceil(fileSize / clusterSize)),
    };
  }

  /** True if the search or a reserved run needs the block, so that it must stay loaded. */
  needs(block: number): boolean {
    return (
      block >= this.#blockOf(this.#search.at) || this.#reserved.some(({ start }) => this.#blockOf(start) === block)
    );
  }

  allocate(): number {
    const run = this.#reserved[0];
    if (run === undefined) throw new Qcow2Error('failed', 'More clusters were needed than had been reserved.');
    const cluster = run.start++;
    if (run.start === run.end) this.#reserved.shift();
    const at = cluster * this.#refcounts.clusterSize;
    const kind = this.#metadata.kindOf(cluster);
    if (kind !== undefined) this.#metadata.refuseUncounted(at, kind);
    this.#refcounts.take(cluster);
    return at;
  }

  /** Frees a cluster that was allocated and never used. */
  freeUnused(host: number): void {
    const cluster = host / this.#refcounts.clusterSize;
    this.#refcounts.lower(cluster, 1);
    this.#recordFreed(cluster);
  }

  /** Frees a cluster, whose block is loaded, to which nothing on the medium refers. */
  freeLeak(cluster: number): void {
    this.#refcounts.free(cluster);
    this.#recordFreed(cluster);
  }

  /** Puts the clusters that a run of bytes touches into quarantine, with `references` references each. */
  retire({ host, length, shared }: Freed, references: number = 1): void {
    const { clusterSize } = this.#refcounts;
    const last = Math.floor((host + length - 1) / clusterSize);
    for (let cluster = Math.floor(host / clusterSize); cluster <= last; cluster++) {
      this.#retireCluster(cluster, references);
      if (shared && this.#hasSnapshots()) this.#shared.add(cluster);
    }
  }

  /**
   * Releases everything from quarantine: decrements the refcounts, and frees clusters without references. Allowed only
   * after the roots stage. Yields the blocks that must be loaded before it continues, a few at a time; the blocks
   * before them may then be evicted.
   *
   * A cluster that a snapshot refers to, too, is never freed. If its refcount falls to 0, the refcount was too low, or
   * a COPIED flag was missing. It keeps one reference, which is a leak at worst.
   *
   * @throws {@link Qcow2Error} `corrupt` when a cluster had fewer references than it loses.
   */
  *release(): Generator<readonly number[], void, undefined> {
    const clusters = [...this.quarantine.keys()].sort((a, b) => a - b);
    for (const [index, cluster] of clusters.entries()) {
      if (!this.#refcounts.loaded(this.#blockOf(cluster))) yield this.#blocksToLoad(clusters, index);
      if (this.#refcounts.lower(cluster, this.quarantine.get(cluster)!)) {
        if (this.#shared.has(cluster)) this.#refcounts.take(cluster);
        else this.#recordFreed(cluster);
      }
      this.quarantine.delete(cluster);
      this.#shared.delete(cluster);
    }
  }

  /** Removes the refcount block `block`, of whose clusters none is used, or its own alone. */
  dropBlock(block: number): void {
    const at = this.#refcounts.blockOffset(block);
    const cluster = at / this.#refcounts.clusterSize;
    this.#refcounts.dropBlock(block);
    this.#runs.forget(block);
    // What no block counts is free.
    if (this.#blockOf(cluster) === block) this.#metadata.delete(cluster);
    else this.#retireCluster(cluster);
  }

  #retireCluster(cluster: number, references: number = 1): void {
    this.quarantine.set(cluster, (this.quarantine.get(cluster) ?? 0) + references);
  }

  #recordFreed(cluster: number): void {
    this.#metadata.delete(cluster);
    const block = this.#blockOf(cluster);
    const first = Math.max(block * this.#refcounts.perBlock, cluster - LONG_RUN + 1);
    const last = Math.min((block + 1) * this.#refcounts.perBlock, cluster + LONG_RUN);
    const start = this.#refcounts.freeSince(cluster, first);
    this.#runs.freed(block, start, this.#refcounts.nextUsed(cluster, last) - start);
  }

  #blockOf(cluster: number): number {
    return Math.floor(cluster / this.#refcounts.perBlock);
  }

  #dropReserved(): void {
    for (const { start, end } of this.#reserved) this.#runs.freed(this.#blockOf(start), start, end - start);
    this.#reserved = [];
  }

  #addBlock(block: number, count: number = 1): void {
    for (const cluster of this.#refcounts.add(block, count)) this.#retireCluster(cluster);
  }

  /**
   * Adds as many blocks from `block` on, which has none, as `clusters` consecutive clusters after them need. Returns
   * the cluster with which the search continues: where other blocks are in the way, that is after the first of those.
   */
  #addRoom(block: number, clusters: number): number {
    const { perBlock } = this.#refcounts;
    const count = Math.ceil(clusters / (perBlock - 1));
    for (let step = 1; step < count; step++) {
      if (this.#refcounts.blockOffset(block + step) !== 0) return (block + step) * perBlock;
    }
    this.#addBlock(block, count);
    return block * perBlock;
  }

  /** The blocks that a search for runs of `length` clusters needs from `first` on. */
  #blocksToSearch(first: number, length: number): readonly number[] {
    const blocks: number[] = [];
    for (let block = first; blocks.length < BLOCKS_AHEAD; block++) {
      if (this.#refcounts.blockOffset(block) === 0) break;
      if (!this.#refcounts.loaded(block) && !this.#runs.skips(block, length)) blocks.push(block);
    }
    return blocks;
  }

  /** The blocks that are not loaded for `clusters`, which ascend, from `index` on. */
  #blocksToLoad(clusters: readonly number[], index: number): readonly number[] {
    const missing = new Set<number>();
    for (let next = index; next < clusters.length && missing.size < BLOCKS_AHEAD; next++) {
      const block = this.#blockOf(clusters[next]!);
      if (this.#refcounts.loaded(block)) continue;
      if (this.#refcounts.blockOffset(block) === 0) {
        this.#metadata.refuseUncounted(clusters[next]! * this.#refcounts.clusterSize, 'cluster');
      }
      missing.add(block);
    }
    return [...missing];
  }
}
