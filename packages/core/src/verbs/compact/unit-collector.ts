/** Collects what lies behind a cluster of the file, within a bound on memory. */
import type { ClusterKind, MovedCluster, MovedStream, Units } from './units.js';

/** Words that are kept in memory: 8 GiB of guest data with the usual clusters. */
export const MAX_WORDS = 131_072;

/** What will become a {@link MovedCluster} or a {@link MovedStream}. */
interface Collected {
  readonly kind: ClusterKind;
  readonly length: number;
  readonly words: number[];
}

/** Collects the words that refer to the clusters from `from` on. */
export class UnitCollector {
  readonly #clusterSize: number;
  #from: number;
  /** By host offset. A stream and a cluster may begin at the same one; then the image is damaged, and neither moves. */
  readonly #units = new Map<number, Collected>();
  readonly #snapshotTables = new Set<number>();
  #words = 0;

  constructor(clusterSize: number, from: number) {
    this.#clusterSize = clusterSize;
    this.#from = from;
  }

  /** Adds the word at the host offset `word`, which refers to `host`; `length` is that of a stream, 0 for a cluster. */
  add(kind: ClusterKind, host: number, length: number, word: number): void {
    if (this.#isBefore(host, length)) return;
    const known = this.#units.get(host);
    if (known === undefined) this.#units.set(host, { kind, length, words: [word] });
    else known.words.push(word);
    if (++this.#words > MAX_WORDS) this.#raiseFrom();
  }

  /** Adds an L2 table that a snapshot refers to. */
  addSnapshotTable(host: number): void {
    this.#snapshotTables.add(host);
  }

  /** What was collected, the highest clusters first. */
  get units(): Units {
    const clusters: MovedCluster[] = [];
    const streams: MovedStream[] = [];
    for (const [host, { kind, length, words }] of this.#units) {
      if (length === 0) clusters.push({ kind, host, words });
      else streams.push({ host, length, words });
    }
    const descending = (a: { host: number }, b: { host: number }) => b.host - a.host;
    clusters.sort(descending);
    streams.sort(descending);
    return { from: this.#from, clusters, streams, snapshotTables: this.#snapshotTables };
  }

  /** True if all of a cluster or a stream is before the clusters that are collected. */
  #isBefore(host: number, length: number): boolean {
    return host + Math.max(length, 1) <= this.#from * this.#clusterSize;
  }

  /** Drops the lower half: the end of the file is moved first. */
  #raiseFrom(): void {
    const hosts = Float64Array.from(this.#units.keys()).sort();
    this.#from = Math.floor(hosts[hosts.length >> 1]! / this.#clusterSize);
    for (const [host, { length, words }] of this.#units) {
      if (!this.#isBefore(host, length)) continue;
      this.#units.delete(host);
      this.#words -= words.length;
    }
  }
}
