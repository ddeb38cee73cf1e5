/** Remembers, for host clusters, which guest cluster they were first found to belong to. */

/** Clusters of a page: small, so that scattered clusters of a sparse file take little memory. */
const PAGE_CLUSTERS = 1024;

/** The first owner of each cluster, a whole number from 0 on. */
export class ClusterOwners {
  readonly #pages = new Map<number, Float64Array>();

  /** The owner of a cluster, which becomes `owner` when it has none. */
  claim(cluster: number, owner: number): number {
    const index = Math.floor(cluster / PAGE_CLUSTERS);
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Float64Array(PAGE_CLUSTERS).fill(-1);
      this.#pages.set(index, page);
    }
    const within = cluster % PAGE_CLUSTERS;
    if (page[within] === -1) page[within] = owner;
    return page[within]!;
  }
}
