/** Records which host clusters contain metadata, so that no write overwrites them by mistake. */
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';

/** The kinds of metadata in a cluster. */
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
   * The target of an entry that was past the end of the file when the image was opened. Allocating it would give the
   * cluster a second reference.
   */
  | 'cluster past the end';

/**
 * The clusters that contain metadata of the active image: those that QEMU also checks before every write, and those of
 * the bitmaps.
 */
export class MetadataMap {
  readonly #clusterSize: number;
  readonly #onRefusal: (error: Qcow2Error) => void;
  readonly #clusters = new Map<number, MetadataKind>();
  /** Clusters that more than one structure refers to: none of them may be written in place. */
  readonly #claimedTwice = new Set<number>();

  /** `onRefusal` gets the error of every refusal: the image is inconsistent, and nothing may be written to it. */
  constructor(clusterSize: number, onRefusal: (error: Qcow2Error) => void) {
    this.#clusterSize = clusterSize;
    this.#onRefusal = onRefusal;
  }

  /** Enters `length` bytes from the host offset `at` on. */
  add(kind: MetadataKind, at: number, length: number): void {
    const last = Math.floor((at + length - 1) / this.#clusterSize);
    for (let cluster = Math.floor(at / this.#clusterSize); cluster <= last; cluster++) {
      if (this.#clusters.has(cluster)) this.#claimedTwice.add(cluster);
      this.#clusters.set(cluster, kind);
    }
  }

  /** Removes a cluster that is free again. */
  delete(cluster: number): void {
    this.#clusters.delete(cluster);
    this.#claimedTwice.delete(cluster);
  }

  /** True if the host offset `at` is in a cluster of metadata. */
  has(at: number): boolean {
    return this.#clusters.has(Math.floor(at / this.#clusterSize));
  }

  /** The kind of metadata in the cluster; undefined when there is none. */
  kindOf(cluster: number): MetadataKind | undefined {
    return this.#clusters.get(cluster);
  }

  /** The clusters of metadata from `first` to before `end`, in any order. */
  *clustersIn(first: number, end: number): Generator<number, void, undefined> {
    if (end - first < this.#clusters.size) {
      for (let cluster = first; cluster < end; cluster++) if (this.#clusters.has(cluster)) yield cluster;
    } else for (const cluster of this.#clusters.keys()) if (cluster >= first && cluster < end) yield cluster;
  }

  /** Throws because the image is inconsistent, and reports the error: the image must be marked corrupt. */
  refuse(what: string, at: number, message: string): never {
    const error = new Qcow2Error('corrupt', message, { what, at });
    this.#onRefusal(error);
    throw error;
  }

  /** Throws because a cluster that is in use has refcount 0. */
  refuseUncounted(at: number, what: string): never {
    this.refuse(
      what,
      at,
      `The ${what} at ${hex(at)} has no refcount: a write would destroy it. Repair the image first.`,
    );
  }

  /**
   * Throws if a write of `length` bytes to `at` would overwrite metadata of another kind than `kind`.
   *
   * @throws {@link Qcow2Error} `corrupt`: the tables refer to other tables.
   */
  refuseOverlap(kind: MetadataKind | 'guest data', at: number, length: number): void {
    const last = Math.floor((at + length - 1) / this.#clusterSize);
    for (let cluster = Math.floor(at / this.#clusterSize); cluster <= last; cluster++) {
      const there = this.#clusters.get(cluster);
      if (there === undefined || (there === kind && !this.#claimedTwice.has(cluster))) continue;
      const clusterOffset = cluster * this.#clusterSize;
      this.refuse(
        there,
        clusterOffset,
        `A write of ${kind} to ${hex(at)} would destroy the ${there} at ${hex(clusterOffset)}.`,
      );
    }
  }
}
