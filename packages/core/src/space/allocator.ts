/**
 * Owns which free cluster is taken next, and the quarantine: a cluster that was given up stays counted, and so is not handed
 * out, until the commit that gives it up is past its roots. Synchronous; when blocks are missing it says which.
 */
import { Qcow2Error } from '../errors.js';
import { hex } from '../format/bytes.js';
import type { HostOffset } from '../format/geometry.js';
import type { Allocator } from '../map/plan-write.js';
import type { Freed } from '../map/sound-mapping.js';
import type { MetadataMap } from './metadata-map.js';
import type { Refcounts } from './refcounts.js';

/** How many blocks are asked for at once, so that the search through a large file makes few calls. */
const BLOCKS_AHEAD = 16;
/** A request for more clusters passes holes of fewer by: what belongs together should lie together. */
const LEAST_RUN = 16;

/** Clusters from `start` to before `end`. */
interface Run {
  start: number;
  readonly end: number;
}

/** Hands out the free clusters of an image. */
export class SpaceAllocator implements Allocator {
  readonly #refcounts: Refcounts;
  readonly #metadata: MetadataMap;
  /** No cluster below is free. */
  #lowest = 0;
  /** Where a search for several clusters goes on. */
  #cursor = 0;
  #reserved: Run[] = [];
  /** Where the search for what is still missing goes on. A single cluster fills the first hole there is. */
  #search = { at: 0, missing: 0, single: true };
  /** Clusters that were given up, and how many references each. */
  readonly quarantine: Map<number, number> = new Map();
  /** Those of them that others refer to as well, as the entries said that gave them up. */
  readonly #shared = new Set<number>();

  constructor(refcounts: Refcounts, metadata: MetadataMap) {
    this.#refcounts = refcounts;
    this.#metadata = metadata;
  }

  /**
   * Finds as many free clusters, in few runs, for the {@link allocate} calls that follow. Answers the blocks that must be
   * loaded before {@link searchOn} can go on, or null when it is done.
   *
   * @throws {@link Qcow2Error} `corrupt` when metadata are in the way that nobody counts, `no-space` when the image is full.
   */
  reserve(clusters: number): readonly number[] | null {
    this.#reserved = [];
    this.#search = { at: clusters === 1 ? this.#lowest : this.#cursor, missing: clusters, single: clusters === 1 };
    return this.searchOn();
  }

  /** Goes on with the search of {@link reserve}, from where it stopped: what it has passed may be forgotten meanwhile. */
  searchOn(): readonly number[] | null {
    const refcounts = this.#refcounts;
    const search = this.#search;
    while (search.missing > 0) {
      const block = Math.floor(search.at / refcounts.perBlock);
      const blockEnd = (block + 1) * refcounts.perBlock;
      if (refcounts.blockOffset(block) === 0) this.#add(block);
      else if (!refcounts.loaded(block)) return this.#ahead(block);
      const start = refcounts.nextFree(search.at, blockEnd);
      const end = start === blockEnd ? start : refcounts.nextUsed(start, Math.min(blockEnd, start + search.missing));
      if (search.single) this.#lowest = start;
      if (end - start >= Math.min(search.missing, LEAST_RUN) || (end === blockEnd && end > start)) {
        this.#reserved.push({ start, end });
        search.missing -= end - start;
      }
      search.at = end;
    }
    return null;
  }

  /** Whether a block is needed for what was found, or for where the search is: it must stay loaded. */
  needs(block: number): boolean {
    const { perBlock } = this.#refcounts;
    const within = (cluster: number) => Math.floor(cluster / perBlock) === block;
    return block >= Math.floor(this.#search.at / perBlock) || this.#reserved.some(({ start }) => within(start));
  }

  allocate(): HostOffset {
    const run = this.#reserved[0];
    if (run === undefined) throw new Qcow2Error('failed', 'More clusters were needed than had been reserved.');
    const cluster = run.start++;
    if (run.start === run.end) this.#reserved.shift();
    const at = cluster * this.#refcounts.clusterSize;
    const kind = this.#metadata.kindOf(cluster);
    if (kind !== undefined) this.#metadata.refuseUncounted(at, kind);
    this.#refcounts.take(cluster);
    this.#cursor = cluster + 1;
    return at as HostOffset;
  }

  /** Takes back a cluster that was allocated and never used. */
  giveBack(host: HostOffset): void {
    const cluster = host / this.#refcounts.clusterSize;
    this.#refcounts.lower(cluster, 1);
    this.#freed(cluster);
  }

  /** Puts the clusters that a run of bytes touches into quarantine, one reference each. */
  retire({ host, length, shared }: Freed): void {
    const { clusterSize } = this.#refcounts;
    const last = Math.floor((host + length - 1) / clusterSize);
    for (let cluster = Math.floor(host / clusterSize); cluster <= last; cluster++) {
      this.#retireCluster(cluster);
      if (shared) this.#shared.add(cluster);
    }
  }

  /** The blocks that must be loaded before {@link release}; none when all are. */
  missingForRelease(): readonly number[] {
    const missing = new Set<number>();
    for (const cluster of this.quarantine.keys()) {
      const block = Math.floor(cluster / this.#refcounts.perBlock);
      if (!this.#refcounts.loaded(block) && this.#refcounts.blockOffset(block) !== 0) missing.add(block);
    }
    return [...missing];
  }

  /**
   * Lets everything out of quarantine: refcounts fall, and what nobody refers to is free. Only after the roots are on the
   * medium.
   *
   * @throws {@link Qcow2Error} `corrupt` when a cluster had fewer references than were given up, or none is left of one that others
   *   refer to: it would be handed out.
   */
  release(): void {
    for (const [cluster, references] of this.quarantine) {
      if (!this.#refcounts.loaded(Math.floor(cluster / this.#refcounts.perBlock))) {
        this.#metadata.refuseUncounted(cluster * this.#refcounts.clusterSize, 'cluster');
      }
      if (!this.#refcounts.lower(cluster, references)) continue;
      if (this.#shared.has(cluster)) this.#refuseFreeing(cluster * this.#refcounts.clusterSize);
      this.#freed(cluster);
    }
    this.quarantine.clear();
    this.#shared.clear();
  }

  #refuseFreeing(at: number): never {
    const message = `The cluster at ${hex(at)} has no reference left, though an entry without COPIED led to it.`;
    return this.#metadata.refuse('refcount', at, message);
  }

  #retireCluster(cluster: number): void {
    this.quarantine.set(cluster, (this.quarantine.get(cluster) ?? 0) + 1);
  }

  #freed(cluster: number): void {
    this.#metadata.delete(cluster);
    this.#lowest = Math.min(this.#lowest, cluster);
    this.#cursor = Math.min(this.#cursor, cluster);
  }

  #add(block: number): void {
    for (const cluster of this.#refcounts.add(block)) this.#retireCluster(cluster);
  }

  #ahead(first: number): readonly number[] {
    const blocks: number[] = [];
    for (let block = first; blocks.length < BLOCKS_AHEAD; block++) {
      if (this.#refcounts.blockOffset(block) === 0) break;
      if (!this.#refcounts.loaded(block)) blocks.push(block);
    }
    return blocks;
  }
}
