/** Counts by host cluster: how often each is referenced, or its refcount on the medium. */

/** Clusters of a page, and so its bytes. Small pages keep the metadata of a large file, which is scattered, small. */
const PAGE_BITS = 12;
const PAGE_CLUSTERS = 2 ** PAGE_BITS;
/** Bytes of the largest piece of memory that is taken for pages. */
const MAX_ROOM = 1024 * 1024;
/** Mask for the index of a cluster in its page. */
export const PAGE_MASK: number = PAGE_CLUSTERS - 1;
/** A count in a page with this value means that the real count is in a page of large counts. */
export const LARGE_COUNT = 0xff;

/**
 * Counts for the clusters of one file, all 0 at first. They take one byte a cluster, and eight more near clusters with
 * large counts, in pages that are allocated on demand: the holes of a sparse file take no memory.
 */
export class ClusterCounts {
  /** The number of counted clusters; at most 2^31 - 1. */
  readonly clusters: number;
  readonly #pages: (Uint8Array | undefined)[];
  readonly #large: (Float64Array | undefined)[] = [];
  /** Memory for the next pages: it is taken in growing pieces, since a buffer for each page would cost more time. */
  #room = new ArrayBuffer(0);
  #roomUsed = 0;

  constructor(clusters: number) {
    this.clusters = clusters;
    this.#pages = new Array(Math.ceil(clusters / PAGE_CLUSTERS));
  }

  /** The count of a cluster; 0 for one that is past the counted ones. */
  get(cluster: number): number {
    if (cluster >= this.clusters) return 0;
    const count = this.#pages[cluster >>> PAGE_BITS]?.[cluster & PAGE_MASK] ?? 0;
    return count === LARGE_COUNT ? this.#large[cluster >>> PAGE_BITS]![cluster & PAGE_MASK]! : count;
  }

  /** Sets the count of a cluster. */
  set(cluster: number, count: number): void {
    const index = cluster >>> PAGE_BITS;
    if (count === 0 && this.#pages[index] === undefined) return;
    if (count >= LARGE_COUNT) {
      const large = this.#large[index] ?? new Float64Array(PAGE_CLUSTERS);
      this.#large[index] = large;
      large[cluster & PAGE_MASK] = count;
    }
    this.page(cluster)[cluster & PAGE_MASK] = Math.min(count, LARGE_COUNT);
  }

  /** Increments the count of a cluster. Returns false, and changes nothing, when it is `max` already. */
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
  page(cluster: number): Uint8Array {
    const index = cluster >>> PAGE_BITS;
    let page = this.#pages[index];
    if (page === undefined) {
      page = this.#newPage();
      this.#pages[index] = page;
    }
    return page;
  }

  /** True if any cluster of the page may have a count: lets a caller skip empty pages. */
  any(cluster: number): boolean {
    return this.#pages[cluster >>> PAGE_BITS] !== undefined;
  }

  #newPage(): Uint8Array {
    if (this.#roomUsed === this.#room.byteLength) {
      this.#room = new ArrayBuffer(Math.min(MAX_ROOM, Math.max(PAGE_CLUSTERS, 2 * this.#room.byteLength)));
      this.#roomUsed = 0;
    }
    this.#roomUsed += PAGE_CLUSTERS;
    return new Uint8Array(this.#room, this.#roomUsed - PAGE_CLUSTERS, PAGE_CLUSTERS);
  }

  #addLarge(cluster: number, max: number): boolean {
    const count = this.get(cluster);
    if (count >= max) return false;
    this.set(cluster, count + 1);
    return true;
  }
}

/** Four counts of 1, as a word of {@link wordsOf}. */
export const FOUR_ONES = 0x0101_0101;

/** The counts of a page, four a word, for loops that look at several at once. */
export function wordsOf(page: Uint8Array): Int32Array {
  return new Int32Array(page.buffer, page.byteOffset, page.length / 4);
}

/** The first cluster of the page of counts after that of `cluster`. */
export function nextPage(cluster: number): number {
  return (Math.floor(cluster / PAGE_CLUSTERS) + 1) * PAGE_CLUSTERS;
}
