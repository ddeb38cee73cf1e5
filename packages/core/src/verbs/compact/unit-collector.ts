/** Collects what lies behind a cluster of the file, within a bound on memory. */
import type { ClusterKind, MovedCluster, MovedStream, Units } from './units.js';

/** Words that are kept in memory, unless one cluster has more: 8 GiB of guest data with the usual clusters. */
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
  readonly #snapshotTables = new Map<number, number>();
  readonly #activeTables = new Map<number, number>();
  #words = 0;
  /** Words that were added, those included that were dropped again. */
  #added = 0;
  /** The number of words at which the lower half is dropped. */
  #limit = MAX_WORDS;

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
    this.#added++;
    if (++this.#words > this.#limit) this.#raiseFrom();
  }

  /** Adds an L2 table that an L1 entry of a snapshot refers to. */
  addSnapshotTable(host: number): void {
    this.#snapshotTables.set(host, (this.#snapshotTables.get(host) ?? 0) + 1);
  }

  /** Adds an L2 table of the active disk, with the index of its L1 entry. `collect` adds the words in it. */
  addActiveTable(host: number, index: number, collect: () => void): void {
    const before = this.#added;
    collect();
    if (this.#added > before) this.#activeTables.set(host, index);
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
    return {
      from: this.#from,
      clusters,
      streams,
      snapshotTables: this.#snapshotTables,
      activeTables: this.#activeTables,
    };
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
    // All of them may be in one cluster, of which nothing is dropped: to try that at every word would take hours.
    this.#limit = Math.max(MAX_WORDS, 2 * this.#words);
  }
}
