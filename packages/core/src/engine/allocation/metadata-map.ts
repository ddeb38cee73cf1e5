/** Owns the knowledge which host clusters hold metadata, so that nothing is ever written over them by mistake. */
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';

/** What a cluster of metadata holds. */
export type MetadataKind =
  | 'header'
  | 'L1 table'
  | 'L2 table'
  | 'refcount table'
  | 'refcount block'
  | 'snapshot table'
  | "snapshot's L1 table"
  | 'bitmap directory'
  | 'bitmap table'
  | 'bitmap data'
  /**
   * Where an entry leads that was past the end of the file when the image was opened: what comes to lie there would
   * have two owners.
   */
  | 'cluster past the end';

/**
 * The clusters that hold metadata of the active image: those that QEMU, too, checks before every write, and the
 * bitmaps'.
 */
export class MetadataMap {
  readonly #clusterSize: number;
  readonly #clusters = new Map<number, MetadataKind>();
  /** Clusters that more than one structure claims: none of them may be written in place. */
  readonly #claimedTwice = new Set<number>();
  /** Why nothing may be written any more: the image contradicts itself. */
  damage: Qcow2Error | null = null;

  constructor(clusterSize: number) {
    this.#clusterSize = clusterSize;
  }

  /** Enters `length` bytes from the host offset `at` on. */
  add(kind: MetadataKind, at: number, length: number): void {
    const last = Math.floor((at + length - 1) / this.#clusterSize);
    for (let cluster = Math.floor(at / this.#clusterSize); cluster <= last; cluster++) {
      if (this.#clusters.has(cluster)) this.#claimedTwice.add(cluster);
      this.#clusters.set(cluster, kind);
    }
  }

  /** Strikes out a cluster that is free again. */
  delete(cluster: number): void {
    this.#clusters.delete(cluster);
    this.#claimedTwice.delete(cluster);
  }

  /** Whether the host offset `at` lies in a cluster of metadata. */
  has(at: number): boolean {
    return this.#clusters.has(Math.floor(at / this.#clusterSize));
  }

  /** What the cluster holds; undefined when it is no metadata. */
  kindOf(cluster: number): MetadataKind | undefined {
    return this.#clusters.get(cluster);
  }

  /** The clusters of metadata from `first` to before `end`, in any order. */
  *clustersIn(first: number, end: number): Generator<number, void, undefined> {
    if (end - first < this.#clusters.size) {
      for (let cluster = first; cluster < end; cluster++) if (this.#clusters.has(cluster)) yield cluster;
    } else for (const cluster of this.#clusters.keys()) if (cluster >= first && cluster < end) yield cluster;
  }

  /** Refuses a write because the image contradicts itself, and keeps the reason: the image is to be marked corrupt. */
  refuse(what: string, at: number, message: string): never {
    this.damage = new Qcow2Error('corrupt', message, { what, at });
    throw this.damage;
  }

  /** Refuses to hand out a cluster that is in use though no refcount says so. */
  refuseUncounted(at: number, what: string): never {
    this.refuse(
      what,
      at,
      `The ${what} at ${hex(at)} has no refcount: a write would destroy it. Repair the image first.`,
    );
  }

  /**
   * Refuses a write of `length` bytes to `at` that would reach metadata of another kind than those it is meant for.
   *
   * @throws {@link Qcow2Error} `corrupt`: the tables lead to where other tables are.
   */
  refuseOverlap(kind: MetadataKind | 'guest data', at: number, length: number): void {
    const last = Math.floor((at + length - 1) / this.#clusterSize);
    for (let cluster = Math.floor(at / this.#clusterSize); cluster <= last; cluster++) {
      const there = this.#clusters.get(cluster);
      if (there === undefined || (there === kind && !this.#claimedTwice.has(cluster))) continue;
      const place = cluster * this.#clusterSize;
      this.refuse(there, place, `A write of ${kind} to ${hex(at)} would destroy the ${there} at ${hex(place)}.`);
    }
  }
}
