/** Owns the inflated clusters that are kept, so that small reads of one cluster inflate it once. */

/** How many bytes of inflated clusters a layer keeps; always at least two clusters. */
const BUDGET = 2 * 1024 * 1024;

/** Inflated clusters by the host offset of their stream; the one asked for longest ago leaves first. */
export class ClusterCache {
  readonly #most: number;
  readonly #clusters = new Map<number, Uint8Array>();

  constructor(clusterSize: number) {
    this.#most = Math.max(2, Math.floor(BUDGET / clusterSize));
  }

  get(host: number): Uint8Array | undefined {
    const cluster = this.#clusters.get(host);
    if (cluster !== undefined) {
      // A Map keeps the order of insertion: the youngest goes last.
      this.#clusters.delete(host);
      this.#clusters.set(host, cluster);
    }
    return cluster;
  }

  set(host: number, cluster: Uint8Array): void {
    if (this.#clusters.size >= this.#most) {
      for (const oldest of this.#clusters.keys()) {
        this.#clusters.delete(oldest);
        break;
      }
    }
    this.#clusters.set(host, cluster);
  }
}
