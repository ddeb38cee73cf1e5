/** Counts by host cluster: how often each is referenced, or its refcount on the medium. */

/** Clusters of a page. */
const PAGE_BITS = 15;
const PAGE_CLUSTERS = 2 ** PAGE_BITS;
/** Mask for the index of a cluster in its page. */
export const PAGE_MASK: number = PAGE_CLUSTERS - 1;
/** A count from here on does not fit in the byte of its cluster. */
export const LARGE_COUNT = 0xff;

/**
 * Counts for the clusters of one file, all 0 at first. They are in pages that are allocated on demand: the holes of a
 * sparse file take no memory.
 */
export class ClusterCounts {
  /** The number of counted clusters; at most 2^31 - 1. */
  readonly clusters: number;
  readonly #pages: (CountPage | undefined)[];

  constructor(clusters: number) {
    this.clusters = clusters;
    this.#pages = new Array(Math.ceil(clusters / PAGE_CLUSTERS));
  }

  /** The count of a cluster; 0 for one that is past the counted ones. */
  get(cluster: number): number {
    if (cluster >= this.clusters) return 0;
    return this.#pages[cluster >>> PAGE_BITS]?.get(cluster & PAGE_MASK) ?? 0;
  }

  /** Sets the count of a cluster. */
  set(cluster: number, count: number): void {
    if (count === 0 && !this.any(cluster)) return;
    this.page(cluster).set(cluster & PAGE_MASK, count);
  }

  /** Increments the count of a cluster. Returns false, and changes nothing, when it is `max` already. */
  add(cluster: number, max: number): boolean {
    const page = this.page(cluster);
    const count = page.get(cluster & PAGE_MASK);
    if (count >= max) return false;
    page.set(cluster & PAGE_MASK, count + 1);
    return true;
  }

  /**
   * The page of counts that contains `cluster`, at the index `cluster & PAGE_MASK`: for loops where a call for each
   * cluster is too slow.
   */
  page(cluster: number): CountPage {
    const index = cluster >>> PAGE_BITS;
    let page = this.#pages[index];
    if (page === undefined) {
      page = new CountPage();
      this.#pages[index] = page;
    }
    return page;
  }

  /** True if any cluster of the page may have a count: lets a caller skip empty pages. */
  any(cluster: number): boolean {
    return this.#pages[cluster >>> PAGE_BITS] !== undefined;
  }
}

/**
 * The counts of some clusters. Nearly all clusters of nearly all files have the count 0 or 1. So each has a bit, which
 * loops compare and set 32 at a time, and only pages with larger counts have a byte more for each, or eight.
 */
export class CountPage {
  /** A bit for each cluster, the lowest for the first: set if its count is not 0. */
  readonly used: Int32Array = new Int32Array(PAGE_CLUSTERS / 32);
  /** What a count has above 1, up to that of {@link LARGE_COUNT}; 0 where the count is 0. */
  #more: Uint8Array | null = null;
  /** The counts from {@link LARGE_COUNT} on. */
  #large: Float64Array | null = null;

  /** The count of the cluster at `index`. */
  get(index: number): number {
    if ((this.used[index >> 5]! & (1 << (index & 31))) === 0) return 0;
    if (this.#more === null) return 1;
    const count = this.#more[index]! + 1;
    return count < LARGE_COUNT ? count : this.#large![index]!;
  }

  /** Sets the count of the cluster at `index`. */
  set(index: number, count: number): void {
    if (count === 0) this.used[index >> 5]! &= ~(1 << (index & 31));
    else this.used[index >> 5]! |= 1 << (index & 31);
    if (count > 1) this.#more ??= new Uint8Array(PAGE_CLUSTERS);
    if (this.#more === null) return;
    this.#more[index] = Math.max(0, Math.min(count, LARGE_COUNT) - 1);
    if (count < LARGE_COUNT) return;
    this.#large ??= new Float64Array(PAGE_CLUSTERS);
    this.#large[index] = count;
  }

  /** True if none of the 32 clusters of a word of `used` has a count above 1. */
  noneAboveOne(word: number): boolean {
    if (this.#more === null) return true;
    for (let index = 32 * word; index < 32 * word + 32; index++) if (this.#more[index] !== 0) return false;
    return true;
  }
}

/** The first cluster of the page of counts after that of `cluster`. */
export function nextPage(cluster: number): number {
  return (Math.floor(cluster / PAGE_CLUSTERS) + 1) * PAGE_CLUSTERS;
}
