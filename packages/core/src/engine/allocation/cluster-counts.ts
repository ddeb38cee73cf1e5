/** Counts by host cluster: how often each is referenced, or its refcount on the medium. */

/** Clusters of a page: 128 KiB of counts, so that the holes of a sparse file take no memory. */
const PAGE_BITS = 16;
const PAGE_CLUSTERS = 2 ** PAGE_BITS;
/** Mask for the index of a cluster in its page. */
export const PAGE_MASK: number = PAGE_CLUSTERS - 1;
/** A 16-bit count with this value means that the real count is in the map of large counts. */
export const LARGE_COUNT = 0xffff;

/**
 * Counts for the clusters of one file, all 0 at first. They take two bytes a cluster, in pages that are allocated on
 * demand.
 */
export class ClusterCounts {
  /** The number of counted clusters; at most 2^31 - 1. */
  readonly clusters: number;
  readonly #pages: (Uint16Array | undefined)[];
  readonly #large = new Map<number, number>();

  constructor(clusters: number) {
    this.clusters = clusters;
    this.#pages = new Array(Math.ceil(clusters / PAGE_CLUSTERS));
  }

  /** The count of a cluster; 0 for one that is past the counted ones. */
  get(cluster: number): number {
    if (cluster >= this.clusters) return 0;
    const count = this.#pages[cluster >>> PAGE_BITS]?.[cluster & PAGE_MASK] ?? 0;
    return count === LARGE_COUNT ? this.#large.get(cluster)! : count;
  }

  /** Sets the count of a cluster. */
  set(cluster: number, count: number): void {
    if (count === 0 && this.#pages[cluster >>> PAGE_BITS] === undefined) return;
    if (count >= LARGE_COUNT) this.#large.set(cluster, count);
    this.page(cluster)[cluster & PAGE_MASK] = Math.min(count, LARGE_COUNT);
  }

  /** Increments the count of a cluster. Returns false, and changes nothing, when it is `most` already. */
  add(cluster: number, max: number): boolean {
    const page = this.#pages[cluster >>> PAGE_BITS] ?? this.page(cluster);
    const count = page[cluster & PAGE_MASK]!;
    if (count < LARGE_COUNT - 1 && count < max) {
      page[cluster & PAGE_MASK] = count + 1;
      return true;
    }
    return this.#addLarge(cluster, max);
  }

  /**
   * The page of counts that contains `cluster`, for loops where a call for each cluster is too slow. The count of
   * `cluster` is at `cluster & PAGE_MASK`. It may be changed in place while it stays under {@link LARGE_COUNT}.
   */
  page(cluster: number): Uint16Array {
    const index = cluster >>> PAGE_BITS;
    let page = this.#pages[index];
    if (page === undefined) {
      page = new Uint16Array(Math.min(PAGE_CLUSTERS, this.clusters - index * PAGE_CLUSTERS));
      this.#pages[index] = page;
    }
    return page;
  }

  /** True if any cluster of the page may have a count: lets a caller skip empty pages. */
  any(cluster: number): boolean {
    return this.#pages[cluster >>> PAGE_BITS] !== undefined;
  }

  #addLarge(cluster: number, max: number): boolean {
    const count = this.get(cluster);
    if (count >= max) return false;
    this.set(cluster, count + 1);
    return true;
  }
}

/** The first cluster of the page of counts after that of `cluster`. */
export function nextPage(cluster: number): number {
  return (Math.floor(cluster / PAGE_CLUSTERS) + 1) * PAGE_CLUSTERS;
}
