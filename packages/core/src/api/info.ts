/** The types of an image's properties that are known without reading its tables. */
import type { LuksInfo } from '../format/luks.js';

/** A feature bit that is set in the header. */
export interface FeatureInfo {
  readonly kind: 'incompatible' | 'compatible' | 'autoclear';
  readonly bit: number;
  /** The specification's name, else the name in the image's feature name table, if there is one. */
  readonly name?: string | undefined;
  /** True if the bit is known to this library. */
  readonly known: boolean;
}

/** A header extension. */
export interface ExtensionInfo {
  readonly type: number;
  /** The specification's name, when the type is known. */
  readonly name?: string | undefined;
  /** Offset of its data in the file, bytes. */
  readonly offset: number;
  /** Length of its data, bytes. */
  readonly length: number;
}

/** An internal snapshot, with the fields of `qemu-img info --output=json` in camelCase. */
export interface SnapshotInfo {
  readonly id: string;
  readonly name: string;
  /** Size of the saved VM state, bytes; 0 when there is none. */
  readonly vmStateSize: number;
  /** When it was taken: seconds since the epoch, and nanoseconds of that second. */
  readonly dateSec: number;
  readonly dateNsec: number;
  /** How long the guest had run: whole seconds, and nanoseconds of the next. */
  readonly vmClockSec: number;
  readonly vmClockNsec: number;
  /** The instruction count of record and replay; absent when it was not used. */
  readonly icount?: number | undefined;
  /** Virtual size of the disk in the snapshot, bytes; absent when the snapshot does not contain it. */
  readonly diskSize?: number | undefined;
}

/** A persistent dirty bitmap. */
export interface BitmapInfo {
  readonly name: string;
  /** Guest bytes per bit. */
  readonly granularity: number;
  /**
   * `in-use`: it was not saved when the image was last written, so its bits are invalid. While the image is written,
   * the bitmaps that follow the writes have this flag in the file; `dirtyRanges` returns their current bits.
   */
  readonly flags: readonly ('in-use' | 'auto' | 'extra-data-compatible')[];
}

/** One file of the backing chain; the opened image is the first. */
export interface LayerInfo {
  readonly depth: number;
  /** As written in the image above it; absent for the opened image. */
  readonly name?: string | undefined;
  /** Absent when the file was not provided and the image above it does not contain its format. */
  readonly format?: string | undefined;
  /** Bytes; absent when the file was not provided. */
  readonly virtualSize?: number | undefined;
  /** True if the layer above names the file and it was not provided. */
  readonly missing: boolean;
  /** The external data file of this layer, when it has one. */
  readonly dataFile?: { readonly name?: string | undefined; readonly missing: boolean } | undefined;
}

/** The header's fields that locate its tables; offsets and lengths in bytes. */
export interface HeaderInfo {
  readonly headerLength: number;
  readonly l1TableOffset: number;
  readonly l1Entries: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly snapshotsOffset: number;
  readonly backingFileOffset: number;
}

/** The properties of an image that are known without reading its tables. Structured-cloneable. */
export interface ImageInfo {
  readonly format: 'qcow2';
  readonly version: 2 | 3;
  /** QEMU's name for the version. */
  readonly compat: '0.10' | '1.1';
  /** Virtual size of the disk, bytes, a multiple of 512. */
  readonly virtualSize: number;
  /** Length of the image file, bytes. */
  readonly fileSize: number;
  readonly clusterSize: number;
  /** The unit of allocation: the cluster, or a 32nd of it with extended L2 entries. Bytes. */
  readonly subclusterSize: number;
  readonly refcountBits: number;
  readonly lazyRefcounts: boolean;
  readonly compressionType: 'zlib' | 'zstd';
  readonly extendedL2: boolean;
  /** Encryption method of the guest's data; absent when it is not encrypted. */
  readonly encryption?: 'aes' | 'luks' | undefined;
  /**
   * The LUKS header, when `encryption` is `'luks'`; absent when it is damaged or not supported. Then reads of the disk
   * throw {@link Qcow2Error} `corrupt` or `unsupported` with the reason.
   */
  readonly luks?: LuksInfo | undefined;
  /** The image was not closed cleanly: its refcounts may be wrong. */
  readonly dirty: boolean;
  /** A writer found the image inconsistent and set the corrupt bit. */
  readonly corrupt: boolean;
  readonly backingFile?: string | undefined;
  readonly backingFormat?: string | undefined;
  readonly dataFile?: string | undefined;
  readonly dataFileRaw: boolean;
  readonly header: HeaderInfo;
  readonly features: readonly FeatureInfo[];
  readonly extensions: readonly ExtensionInfo[];
  readonly snapshots: readonly SnapshotInfo[];
  readonly bitmaps: readonly BitmapInfo[];
  readonly chain: readonly LayerInfo[];
}

/** What the header of an image contains: {@link ImageInfo} without what needs its tables or other files. */
export type ImageSummary = Omit<ImageInfo, 'luks' | 'snapshots' | 'bitmaps' | 'chain'>;

/**
 * The clusters of an image file that is open for writing, as far as they are known without reading it. `usage` counts
 * all.
 */
export interface SpaceStats {
  /** Clusters that were allocated since the image was opened, for data and for tables. */
  readonly allocatedClusters: number;
  /** Clusters that became free again since then. */
  readonly releasedClusters: number;
  /** Clusters that `compact` has moved to other places of the file since then. */
  readonly movedClusters: number;
  /** Clusters that are not used any more: the next flush releases them. */
  readonly quarantinedClusters: number;
  /** Free clusters before the end of the file, in the part of it whose refcounts are in memory. */
  readonly freeClusters: number;
}

/** Counts since the image was opened, which determine the engine's speed. */
export interface ImageStats {
  /** Calls of `read` of all sources of the chain. */
  readonly deviceReads: number;
  /** Transfers in those calls. */
  readonly deviceTransfers: number;
  /** Bytes in those transfers. */
  readonly deviceBytes: number;
  /** Calls of a device's `write`. */
  readonly deviceWrites: number;
  /** Bytes in those calls. */
  readonly deviceBytesWritten: number;
  /** Calls of a device's `flush`. */
  readonly deviceFlushes: number;
  /** L2 tables that were loaded. */
  readonly l2Loads: number;
  /** Compressed clusters that were decompressed. */
  readonly inflatedClusters: number;
  /** Absent when the image is not open for writing. */
  readonly space?: SpaceStats | undefined;
}

/** What `sparsify` has done. */
export interface SparsifyReport {
  /** Bytes of the file that are free now. */
  readonly released: number;
}

/** What a compaction has done. */
export interface CompactReport {
  /** Clusters that were copied to other places of the file. */
  readonly copied: number;
  /** References that were changed. */
  readonly updated: number;
  /** The length of the file before and after, bytes. */
  readonly oldSize: number;
  readonly newSize: number;
}
