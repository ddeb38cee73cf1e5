/** The state of one open file of a chain: its source, its tables, and its backing file. */

import type { Done, Transfer } from '../../api/device.js';
import type { BitmapInfo, SnapshotInfo } from '../../api/info.js';
import type { ImageReference } from '../../api/openable.js';
import type { Qcow2Error } from '../../errors.js';
import type { Bitmap } from '../../format/bitmaps.js';
import type { FeatureName, HeaderExtension } from '../../format/extensions.js';
import type { Geometry } from '../../format/geometry.js';
import type { Header } from '../../format/header.js';
import type { LuksInfo } from '../../format/luks.js';
import type { Snapshot } from '../../format/snapshots.js';
import type { RwLock } from '../async/rw-lock.js';
import type { Scratch } from '../async/scratch.js';
import type { ClusterCache } from './cluster-cache.js';
import type { Codec } from './codec.js';
import type { Counters, CountingSource } from './counting-source.js';
import type { TableCache } from './table-cache.js';

/** A raw file: guest offsets are file offsets. */
export interface RawLayer {
  readonly kind: 'raw';
  readonly depth: number;
  /** Bytes. */
  readonly size: number;
  readonly source: CountingSource;
}

/** Describes snapshots and bitmaps as plain values. */
export interface TableInfo {
  snapshotInfos(snapshots: readonly Snapshot[]): SnapshotInfo[];
  bitmapInfos(bitmaps: readonly Bitmap[]): BitmapInfo[];
}

/** An open qcow2 image. */
export interface Qcow2Layer {
  readonly kind: 'qcow2';
  readonly depth: number;
  /** Virtual size, bytes. `WrittenHeader` changes it with the header. */
  size: number;
  /** As on the medium. `WrittenHeader` replaces it when writing changes a field. */
  header: Header;
  extensions: readonly HeaderExtension[];
  /** The image's feature name table; empty when all of its features are known. */
  readonly featureNames: readonly FeatureName[];
  snapshots: readonly Snapshot[];
  /**
   * Empty, too, when the autoclear bit of the bitmaps is clear. While the image is written, tracked bitmaps are in use
   * on the medium, but not here.
   */
  bitmaps: readonly Bitmap[];
  /** Describes the two; null when there were none when the image was opened, and none was added. */
  tableInfo: TableInfo | null;
  readonly geometry: Geometry;
  readonly source: CountingSource;
  /** The file with the guest clusters: the source itself, the external data file, or null when that was not opened. */
  readonly data: CountingSource | null;
  /** The image's reference to its data file, when it has one. */
  readonly dataReference: ImageReference | null;
  /** A writer replaces it with one in which tables can be changed. */
  tables: TableCache;
  readonly inflated: ClusterCache;
  readonly scratch: Scratch;
  readonly counters: Counters;
  readonly codec: Codec;
  /** The error that reads of guest bytes throw, though the map can be read: the disk is encrypted. */
  readonly unreadable: Qcow2Error | null;
  /** The decoded LUKS header: undefined when it is invalid, or when there is none. */
  readonly luks: LuksInfo | undefined;
  /** The image's reference to its backing file, when it has one. */
  readonly backingReference: ImageReference | null;
  /**
   * The backing file: null when there is none, or when it was not opened. A writer replaces it with one that watches
   * its reads.
   */
  backing: Backing | null;
  /** The disks of snapshots that are open: they share the file, and have tables of their own in memory. */
  readonly views: Set<Qcow2Layer>;
  /** The lock between readers and the writer; null for an image that is not written. */
  readonly lock: RwLock | null;
  /** For the disk of a snapshot: the index of the snapshot, -1 after it was deleted. */
  snapshotIndex?: number;
  /** True if the data file is a raw disk by itself, and read without the tables. */
  readonly rawData: boolean;
}

/** The backing file of an image. */
export interface Backing {
  readonly layer: Layer;
  /**
   * Fills every transfer with guest bytes of the backing file and its own chain. Throws as reading does; the error
   * gives the layer.
   */
  read(transfers: readonly Transfer[], signal?: AbortSignal): Done;
  /** Passes on the items of another iteration over the backing file; its errors give the layer. */
  within<T>(items: AsyncIterable<T>, signal?: AbortSignal): AsyncIterable<T>;
}

/** One file of a chain. */
export type Layer = RawLayer | Qcow2Layer;

/** True if the layer has no backing file, so that unallocated clusters read as zeros. */
export function isBase(layer: Qcow2Layer): boolean {
  return layer.backingReference === null;
}
