/** Owns what the engine keeps of one file of a chain: its source, its tables, and what lies behind it. */

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

/** A qcow2 image, opened. */
export interface Qcow2Layer {
  readonly kind: 'qcow2';
  readonly depth: number;
  /** Virtual size, bytes. */
  readonly size: number;
  /**
   * As it was opened, but for what is said of bitmaps: those of an image that is written may have to go. What else
   * changes while it is written the writer has (`Writer.current`).
   */
  header: Header;
  extensions: readonly HeaderExtension[];
  /** What the image calls its features; empty when this library knows all of them. */
  readonly featureNames: readonly FeatureName[];
  readonly snapshots: readonly Snapshot[];
  /**
   * Empty, too, when the image says that its bitmaps are not to be trusted. While it is written those that follow are
   * in use on the medium, not here.
   */
  bitmaps: readonly Bitmap[];
  /** What describes the two; null when there are none. */
  readonly tableInfo: TableInfo | null;
  readonly geometry: Geometry;
  readonly source: CountingSource;
  /** Where guest clusters are: the source itself, the external data file, or null when that was not handed over. */
  readonly data: CountingSource | null;
  /** What the image names as its data file, when it has one. */
  readonly dataReference: ImageReference | null;
  readonly tables: TableCache;
  readonly inflated: ClusterCache;
  readonly scratch: Scratch;
  readonly counters: Counters;
  readonly codec: Codec;
  /**
   * Why the guest's bytes cannot be read though the map can: they are encrypted, or would be if its LUKS header were
   * sound.
   */
  readonly unreadable: Qcow2Error | null;
  /** What the LUKS header says: null when it is not sound, undefined without one. */
  readonly luks: LuksInfo | undefined;
  /** What the image names as its backing file, when it has one. */
  readonly backingReference: ImageReference | null;
  /**
   * The backing file: null when there is none, or when it was not handed over. What writes the image watches the reads
   * of it.
   */
  backing: Backing | null;
  /** Keeps readers and the writer apart; null when nobody writes. */
  readonly gate: RwLock | null;
  /** The data file is to be a raw disk by itself, and read without the tables. */
  readonly rawData: boolean;
}

/** The file behind an image. */
export interface Backing {
  readonly layer: Layer;
  /**
   * Fills every transfer with the guest's bytes as that file and those behind it have them. Throws as reading does,
   * saying where.
   */
  read(transfers: readonly Transfer[], signal?: AbortSignal): Done;
  /** The same items, of something else that is read there; what it throws says where. */
  within<T>(items: AsyncIterable<T>, signal?: AbortSignal): AsyncIterable<T>;
}

/** One file of a chain. */
export type Layer = RawLayer | Qcow2Layer;

/** Whether what this layer does not hold reads as zeros, since no other layer follows. */
export function isBase(layer: Qcow2Layer): boolean {
  return layer.backingReference === null;
}
