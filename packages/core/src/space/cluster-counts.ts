/** Owns counts by host cluster: how often each is referenced, or what the refcount blocks say of it. */

/** Clusters of a page: 128 KiB of counts, so that what a sparse file leaves out takes no memory. */
const PAGE_BITS = 16;
const PAGE_CLUSTERS: number = 2 ** PAGE_BITS;
const IN_PAGE: number = PAGE_CLUSTERS - 1;
/** What a 16-bit count holds when the count itself stands in the map beside it. */
const LARGE = 0xffff;

/** Counts for the clusters of one file, all 0 at first. They take two bytes a cluster, and only where there are any. */
export class ClusterCounts {
  /** How many clusters are counted; at most 2^31 - 1. */
  readonly clusters: number;
  readonly #pages: (Uint16Array | undefined)[];
  readonly #large = new Map<number, number>();

  constructor(clusters: number) {
    this.clusters = clusters;
    this.#pages = new Array(Math.ceil(clusters / PAGE_CLUSTERS));
  }

  /** The count of a cluster; 0 for one that is not counted. */
  get(cluster: number): number {
    if (cluster >= this.clusters) return 0;
    const count = this.#pages[cluster >>> PAGE_BITS]?.[cluster & IN_PAGE] ?? 0;
    return count === LARGE ? this.#large.get(cluster)! : count;
  }

  /** Sets the count of a cluster. */
  set(cluster: number, count: number): void {
    if (count === 0 && this.#pages[cluster >>> PAGE_BITS] === undefined) return;
    if (count >= LARGE) this.#large.set(cluster, count);
    this.#page(cluster)[cluster & IN_PAGE] = Math.min(count, LARGE);
  }

  /** Counts a cluster once more, unless it has been counted `most` times: then the answer is false. */
  add(cluster: number, most: number): boolean {
    const page = this.#pages[cluster >>> PAGE_BITS] ?? this.#page(cluster);
    const count = page[cluster & IN_PAGE]!;
    if (count < LARGE - 1 && count < most) {
      page[cluster & IN_PAGE] = count + 1;
      return true;
    }
    return this.#addLarge(cluster, most);
  }

  /** Whether any cluster from `first` on, up to the next multiple of 65,536, may have a count: how runs of none are skipped. */
  any(first: number): boolean {
    return this.#pages[first >>> PAGE_BITS] !== undefined;
  }

  #addLarge(cluster: number, most: number): boolean {
    const count = this.get(cluster);
    if (count >= most) return false;
    this.set(cluster, count + 1);
    return true;
  }

  #page(cluster: number): Uint16Array {
    const index = cluster >>> PAGE_BITS;
    let page = this.#pages[index];
    if (page === undefined) {
      page = new Uint16Array(Math.min(PAGE_CLUSTERS, this.clusters - index * PAGE_CLUSTERS));
      this.#pages[index] = page;
    }
    return page;
  }
}

/** Where the next page of counts begins after `cluster`. */
export function nextPage(cluster: number): number {
  return (Math.floor(cluster / PAGE_CLUSTERS) + 1) * PAGE_CLUSTERS;
}
