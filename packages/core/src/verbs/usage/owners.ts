/** What each cluster of an image file belongs to. */
import type { ByteSource } from '../../api/device.js';
import { ClusterCounts } from '../../engine/allocation/cluster-counts.js';
import type { Geometry } from '../../format/geometry.js';
import type { Header } from '../../format/header.js';
import { CheckContext } from '../check/check-context.js';
import { NoFindings } from '../check/no-findings.js';
import type { Use } from '../check/place.js';

/**
 * What a cluster belongs to. The owners up to `data` are entered in this order, and the first one stays. Numbers from
 * {@link FIRST_SNAPSHOT} on are snapshots that alone refer to a cluster.
 */
export const OWNER = { none: 0, tables: 1, bitmaps: 2, data: 3, snapshots: 4 } as const;
/** The first snapshot of the table; the others follow. */
export const FIRST_SNAPSHOT = 5;

/** Enters an owner of a cluster. A second snapshot makes it one of several; otherwise the first owner stays. */
export function claim(owners: ClusterCounts, cluster: number, owner: number): void {
  const before = owners.get(cluster);
  if (before === OWNER.none) owners.set(cluster, owner);
  else if (before >= FIRST_SNAPSHOT && before !== owner) owners.set(cluster, OWNER.snapshots);
}

/** The context of a check that enters owners in place of counting references. What is damaged is left out. */
export class OwnerContext extends CheckContext {
  /** The owner of each cluster, as a count: a byte each, and more where there are over 250 snapshots. */
  readonly owners: ClusterCounts = new ClusterCounts(this.clusters);

  constructor(source: ByteSource, header: Header, geometry: Geometry, signal: AbortSignal | undefined) {
    super(source, header, geometry, source.size, new NoFindings(), signal);
  }

  /** Enters what is neither guest data nor an L2 table. */
  override refer(offset: number, length: number, use: Use): void {
    this.enter(offset, length, use === 'bitmaps' ? OWNER.bitmaps : OWNER.tables);
  }

  /** Enters the owner of all clusters that a range of the file touches, unless it ends past the end of the file. */
  enter(offset: number, length: number, owner: number): void {
    if (length <= 0 || this.isPastEnd(offset, length)) return;
    const { clusterSize } = this.geometry;
    const last = Math.min(this.clusters - 1, Math.floor((offset + length - 1) / clusterSize));
    for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster++) claim(this.owners, cluster, owner);
  }
}
