/** Types of what is known of an image without reading its tables. */
import type { LuksInfo } from '../format/luks.js';

/** A feature bit that is set in the header. */
export interface FeatureInfo {
  readonly kind: 'incompatible' | 'compatible' | 'autoclear';
  readonly bit: number;
  /** The specification's name, else the name in the image's own feature name table, if it has one. */
  readonly name?: string | undefined;
  /** Whether this library knows the bit. */
  readonly known: boolean;
}

/** A header extension as it stands in the file. */
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
  /** Size of the saved machine state, bytes; 0 when there is none. */
  readonly vmStateSize: number;
  /** When it was taken: seconds since the epoch, and nanoseconds of that second. */
  readonly dateSec: number;
  readonly dateNsec: number;
  /** How long the guest had run: whole seconds, and nanoseconds of the next. */
  readonly vmClockSec: number;
  readonly vmClockNsec: number;
  /** The instruction count of record and replay; absent when it was off. */
  readonly icount?: number | undefined;
  /** Virtual size of the disk in the snapshot, bytes; absent when the snapshot does not give it. */
  readonly diskSize?: number | undefined;
}

/** A persistent dirty bitmap. */
export interface BitmapInfo {
  readonly name: string;
  /** Guest bytes a bit stands for. */
  readonly granularity: number;
  /**
   * `in-use`: it was not saved when the image was last written, and what it marks is not to be trusted. While the image
   * is written the file says so of every bitmap that follows; what it marks can be asked for all the same.
   */
  readonly flags: readonly ('in-use' | 'auto' | 'extra-data-compatible')[];
}

/** One file of the backing chain, the opened image first. */
export interface LayerInfo {
  readonly depth: number;
  /** As written in the image above it; absent for the opened image. */
  readonly name?: string | undefined;
  /** Absent when the file was not handed over and the image above does not give it. */
  readonly format?: string | undefined;
  /** Bytes; absent when the file was not handed over. */
  readonly virtualSize?: number | undefined;
  /** Named by the layer above, but not handed over. */
  readonly missing: boolean;
  /** The external data file of this layer, when it has one. */
  readonly dataFile?: { readonly name?: string | undefined; readonly missing: boolean } | undefined;
}

/** Where the header says its tables are; offsets and lengths in bytes. */
export interface HeaderInfo {
  readonly headerLength: number;
  readonly l1TableOffset: number;
  readonly l1Entries: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly snapshotsOffset: number;
  readonly backingFileOffset: number;
}

/** Everything about an image that is known without reading its tables. Plain and structured-cloneable. */
export interface ImageInfo {
  readonly format: 'qcow2';
  readonly version: 2 | 3;
  /** QEMU's name for the version. */
  readonly compat: '0.10' | '1.1';
  /** Size of the disk the guest sees, bytes, a multiple of 512. */
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
  /** How the guest's data is encrypted; absent when it is not. */
  readonly encryption?: 'aes' | 'luks' | undefined;
  /**
   * What the LUKS header says, when `encryption` is `'luks'`; absent when it is damaged or of a kind that is not known.
   * Then reading the disk throws what is wrong with it, as {@link Qcow2Error} `corrupt` or `unsupported`.
   */
  readonly luks?: LuksInfo | undefined;
  /** The image was not closed cleanly: its refcounts may be wrong. */
  readonly dirty: boolean;
  /** A writer found the image inconsistent and marked it so. */
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

/** What an image says of itself in its header alone: {@link ImageInfo} without what its tables and other files hold. */
export type ImageSummary = Omit<ImageInfo, 'luks' | 'snapshots' | 'bitmaps' | 'chain'>;

/** How the engine has been used since the image was opened: the figures that decide its speed. */
export interface ImageStats {
  /** Calls of a source's `read`, over all layers. */
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
  /** L2 tables that had to be loaded. */
  readonly l2Loads: number;
  /** Compressed clusters that were inflated. */
  readonly inflatedClusters: number;
}
