/**
 * The state that all parts of a check share: the file, its counts of references, and which clusters contain metadata.
 */

import type { ByteSource } from '../../api/device.js';
import { ClusterCounts } from '../../engine/allocation/cluster-counts.js';
import { hex } from '../../format/bytes.js';
import type { Geometry } from '../../format/geometry.js';
import type { Header } from '../../format/header.js';
import type { Findings } from './findings.js';
import { impactOn, type Place, type Use } from './place.js';

/** QEMU's limit for the number of clusters that can be counted. */
export const MAX_CLUSTERS: number = 2 ** 31 - 1;

/** The clusters of the file, and how often each is referenced. */
export class CheckContext {
  /** Clusters of the file; the last may be short. */
  readonly clusters: number;
  /** One more than the file has: an unaligned reference may reach into it. */
  readonly references: ClusterCounts;
  /** The highest refcount of this width. */
  readonly maxRefcount: number;
  /** True once a compressed cluster was counted. */
  hasCompressed = false;
  /** How many of the references are to metadata, and how many to L2 tables. */
  readonly #metadata: ClusterCounts;
  readonly #tables: ClusterCounts;

  constructor(
    readonly source: ByteSource,
    readonly header: Header,
    readonly geometry: Geometry,
    readonly fileSize: number,
    readonly findings: Findings,
    readonly signal: AbortSignal | undefined,
  ) {
    this.clusters = Math.ceil(fileSize / geometry.clusterSize);
    this.references = new ClusterCounts(this.clusters + 1);
    this.#metadata = new ClusterCounts(this.clusters + 1);
    this.#tables = new ClusterCounts(this.clusters + 1);
    this.maxRefcount = 2 ** (2 ** header.refcountOrder) - 1;
  }

  /**
   * Counts a reference to every cluster that `[offset, offset + length)` touches, unless it is past the end of the
   * file; `place` is what refers. {@link sharesMetadata} finds other uses of clusters that hold metadata.
   */
  refer(offset: number, length: number, use: Use, place: () => Place): void {
    const { clusterSize } = this.geometry;
    if (length <= 0) return;
    if (this.isPastEnd(offset, length)) {
      this.findings.add('corruption', 'past-end', impactOn(use, 'data-missing'), place(), () => {
        const end = hex(this.fileSize);
        return `It refers to ${hex(offset)} to ${hex(offset + length)}, but the file ends at ${end}.`;
      });
      return;
    }
    if (use === 'compressed') this.hasCompressed = true;
    const role = this.#roleOf(use);
    const last = Math.floor((offset + length - 1) / clusterSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster++) {
      if (!this.references.add(cluster, this.maxRefcount)) this.#overflow(cluster, place());
      role?.add(cluster, Infinity);
    }
  }

  /** True if a range ends past the end of the file. Its last cluster may be short, so less than a cluster is valid. */
  isPastEnd(offset: number, length: number): boolean {
    return offset + length - this.fileSize >= this.geometry.clusterSize;
  }

  /** True if a cluster contains metadata and is used for something else as well. */
  sharesMetadata(cluster: number): boolean {
    const references = this.references.get(cluster);
    if (references < 2) return false;
    const tables = this.#tables.get(cluster);
    return this.#metadata.get(cluster) > 0 || (tables > 0 && tables < references);
  }

  #roleOf(use: Use): ClusterCounts | null {
    if (use === 'data' || use === 'compressed') return null;
    return use === 'table' ? this.#tables : this.#metadata;
  }

  #overflow(cluster: number, place: Place): void {
    this.findings.addShared('corruption', 'refcount-overflow', cluster, place, () => {
      const where = hex(cluster * this.geometry.clusterSize);
      return `The cluster at ${where} is referenced more than ${this.maxRefcount} times, the highest refcount.`;
    });
  }

  /** Bytes of the file, cut off at its end. */
  async read(at: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.fileSize - at)));
    if (bytes.length > 0) {
      const done = this.source.read([{ at, bytes }], this.signal);
      if (done !== undefined) await done;
    }
    return bytes;
  }
}
