/** Owns the types of what callers hand in and of the plain values they get back. */
import type { LuksInfo } from '../format/luks.js';
import type { ByteSource } from './device.js';

/** What can be opened as an image; turned into a {@link ByteSource} at the edge. A `File` is a `Blob`. */
export type Openable = ByteSource | Blob | ArrayBuffer | Uint8Array;

/** A run of guest bytes: `[start, start + length)`. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/**
 * How far a long operation is. `done` and `total` are in bytes, never fall, and are reported at most ten times a
 * second.
 */
export interface Progress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** What every long operation takes. */
export interface OperationOptions {
  /** Aborting rejects with `signal.reason`, untouched. */
  signal?: AbortSignal | undefined;
  /**
   * What it throws, at whichever report, ends the operation: it rejects with that, and leaves what a failure leaves.
   * Nothing is reported once the result is final.
   */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** Another file that an image names, and where it stands in the chain. */
export interface ImageReference {
  readonly kind: 'backing' | 'data';
  /**
   * As written in the image: relative to the file that names it, so walk `parent` to resolve it. A byte that is no
   * UTF-8 is the lone surrogate U+DC00 + byte, and the name then no string that a file system takes. It may be an
   * address, or describe a file with options (`json:`) that change what is read: `baseName` of `qcow2-opfs` tells them
   * apart.
   */
  readonly name: string;
  /** The format the image gives for it, if it gives one. */
  readonly format?: string | undefined;
  /** Whether the file will be written to. */
  readonly writable: boolean;
  /** The reference that led to the file which names this one; null for the image that was opened. */
  readonly parent: ImageReference | null;
  /** 1 for a file that the opened image names, 2 for one that such a file names, and so on. */
  readonly depth: number;
}

/** What a resolver may answer: the file, the file and its format, or null to refuse it. */
export type Resolved = Openable | { source: Openable; format: 'raw' | 'qcow2' } | null;

/** How an image is opened. */
export interface OpenOptions extends OperationOptions {
  /**
   * `'read'`, the default, never writes. For `'readwrite'` the image must be a `BlockDevice`, neither dirty nor
   * corrupt; see `verify`.
   */
  mode?: 'read' | 'readwrite' | undefined;
  /**
   * Asked for every other file the image names. Without it, and for null, the image still opens: `info` and the map of
   * its own layer work, and the first read that needs the file throws `reference-refused`. A file that is in the chain
   * already, by its `identity`, is refused with `corrupt`.
   */
  resolve?: ((reference: ImageReference) => Promise<Resolved>) | undefined;
  /**
   * Whether every reference of the image is counted, as `check` does, before it is opened for writing; default true. An
   * image in which that finds anything but leaks is refused with `corrupt`. Files behind the image are not looked at.
   * It reads all L2 tables and refcount blocks: 8 bytes for each cluster of the guest and 2 for each of the file.
   * Without it a write to a damaged image can destroy what it holds, as with QEMU.
   */
  verify?: boolean | undefined;
  /** Budgets of the caches, in bytes. */
  cache?: { l2Bytes?: number | undefined; refcountBytes?: number | undefined } | undefined;
}

/** What a new image is to be; the names are those of `qemu-img create -o`. */
export interface CreateOptions extends OperationOptions {
  /** Size of the disk, bytes; rounded up to 512, and said in `info`. */
  size: number;
  /** Default 3. */
  version?: 2 | 3 | undefined;
  /** A power of two from 512 to 2 MiB; default 64 KiB. */
  clusterSize?: number | undefined;
  /** A power of two from 1 to 64; default 16. */
  refcountBits?: number | undefined;
  /** Postpone refcount updates while the image is open, and mark it dirty meanwhile. */
  lazyRefcounts?: boolean | undefined;
  /** How clusters will be compressed; default `'zlib'`, which is deflate. */
  compressionType?: 'zlib' | 'zstd' | undefined;
  /** Allocate a 32nd of a cluster at a time; needs clusters of at least 16 KiB. */
  extendedL2?: boolean | undefined;
  /** `'metadata'` lays out every table and gives every cluster its place; default `'off'`. */
  preallocation?: 'off' | 'metadata' | undefined;
  /**
   * Name of the file behind this one, relative to it; at most 1023 bytes. `resolve` is asked for it before anything is
   * written.
   */
  backingFile?: string | undefined;
  /** Its format, which QEMU wants said. */
  backingFormat?: string | undefined;
  /** Name of a file for the guest's data, which `resolve` hands over as a device. */
  dataFile?: string | undefined;
  /** Keep the data file a raw disk by itself. */
  dataFileRaw?: boolean | undefined;
}

/** The fields and meaning of one element of `qemu-img map --output=json`. */
export interface Extent {
  /** Guest offset, bytes. */
  start: number;
  /** Bytes. */
  length: number;
  /** Which layer of the chain decides: 0 is this image, 1 its backing file, and so on. */
  depth: number;
  /** Whether that layer holds an entry for it; otherwise it reads as zeros because nobody does. */
  present: boolean;
  /** Reads as zeros. */
  zero: boolean;
  /** Has bytes stored. Neither `zero` nor `data` means: in a backing file that was not handed over. */
  data: boolean;
  /** Stored as a compressed cluster. */
  compressed: boolean;
  /** Offset in the file that holds the bytes; absent for what is compressed, encrypted or stored nowhere. */
  offset?: number;
}

/** A feature bit that is set in the header. */
export interface FeatureInfo {
  readonly kind: 'incompatible' | 'compatible' | 'autoclear';
  readonly bit: number;
  /** The specification's name, else the name in the image's own feature name table, else null. */
  readonly name: string | null;
  /** Whether this library knows the bit. */
  readonly known: boolean;
}

/** A header extension as it stands in the file. */
export interface ExtensionInfo {
  readonly type: number;
  /** The specification's name, or null when the type is unknown. */
  readonly name: string | null;
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
  /** The instruction count of record and replay; null when it was off. */
  readonly icount: number | null;
  /** Virtual size of the disk in the snapshot, bytes; null when the snapshot does not say. */
  readonly diskSize: number | null;
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
  /** As written in the image above it; null for the opened image. */
  readonly name: string | null;
  /** Null when the file was not handed over and the image above does not say. */
  readonly format: string | null;
  /** Bytes; null when the file was not handed over. */
  readonly virtualSize: number | null;
  /** Named by the layer above, but not handed over. */
  readonly missing: boolean;
  /** The external data file of this layer, when it has one. */
  readonly dataFile: { readonly name: string | null; readonly missing: boolean } | null;
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
  readonly encryption: 'aes' | 'luks' | null;
  /**
   * What the LUKS header says, when `encryption` is `'luks'`; null when it is damaged or of a kind that is not known.
   * Then reading the disk throws what is wrong with it, as {@link Qcow2Error} `corrupt` or `unsupported`.
   */
  readonly luks?: LuksInfo | null | undefined;
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

/** How an image is checked. */
export type CheckOptions = OperationOptions;

/** What can be wrong with an image: the closed set of {@link Finding.fault}. */
export type Fault =
  /** A table entry has bits set that must be zero. */
  | 'reserved-bits'
  /** A table entry points to the middle of a cluster. */
  | 'unaligned'
  /** A table entry points a cluster or more past the end of the file. */
  | 'past-end'
  /** COPIED is set though the refcount is not one. */
  | 'copied-set'
  /** COPIED is not set though the refcount is one: only slower. */
  | 'copied-missing'
  /** COPIED is set in the entry of a compressed cluster. */
  | 'copied-compressed'
  /** The subcluster bitmap of an extended L2 entry contradicts itself or the entry. */
  | 'subclusters'
  /** A compressed cluster or a snapshot in an image with an external data file. */
  | 'external-data'
  /** The cluster is referenced more often than its refcount says: it would be reused while it is in use. */
  | 'refcount-low'
  /** The refcount is higher than there are references: a leak. */
  | 'refcount-high'
  /** The cluster is referenced more often than its refcount can say. */
  | 'refcount-overflow'
  /** A refcount block is used for something else as well. */
  | 'refcount-block-shared'
  /** The refcount of the cluster cannot be read. */
  | 'refcount-unreadable'
  /** An entry of the snapshot table is damaged, or the table is. */
  | 'snapshot-table'
  /** The bitmap directory, a bitmap's table or one of its entries is damaged. */
  | 'bitmap'
  /** The file has more clusters than can be counted. */
  | 'too-large'
  /** A cluster of metadata is used for something else as well, and the refcount allows for it. */
  | 'overlap'
  /** A guest cluster is not at its own offset in the external data file. */
  | 'data-file-offset'
  /** An entry of a version 2 image says that it reads as zeros, which version 2 does not have. */
  | 'zero-flag';

/** Something that is wrong with an image, and where. Plain and structured-cloneable. */
export interface Finding {
  /** The figure of the report in which it counts. */
  readonly kind: 'corruption' | 'leak' | 'check-error' | 'beyond';
  readonly fault: Fault;
  /** The structure, in the specification's words: `'L2 table 7, entry 3'`, `'cluster'`. */
  readonly what: string;
  /** Its offset in the image file, bytes. */
  readonly at: number;
  /** How often it counts: neighbouring clusters of one fault are one finding. */
  readonly count: number;
  /** What was found, in a sentence. */
  readonly message: string;
}

/** The figures of `qemu-img check --output=json` in camelCase, and every finding with its place. */
export interface CheckReport {
  readonly corruptions: number;
  readonly leaks: number;
  /** What could not be checked. */
  readonly checkErrors: number;
  /** What QEMU does not count. */
  readonly beyond: number;
  /** Where the last cluster ends that is in use, bytes. */
  readonly imageEndOffset: number;
  /** Clusters of the guest's disk. */
  readonly totalClusters: number;
  /** Those of them that have a cluster in the file: data, compressed, or kept for zeros. */
  readonly allocatedClusters: number;
  /** Those that do not follow the one before; all compressed ones. */
  readonly fragmentedClusters: number;
  readonly compressedClusters: number;
  /** In the order in which they were found; of a badly damaged image the first 65,536, while the figures count all. */
  readonly findings: readonly Finding[];
}

/** What Qcow2Image and, across the worker, WorkerImage both are: everything but the synchronous forms. */
export interface Disk extends AsyncDisposable {
  /** Virtual size, bytes. */
  readonly size: number;
  readonly info: ImageInfo;
  readonly snapshots: readonly SnapshotInfo[];
  readonly bitmaps: readonly BitmapInfo[];
  /** Fills `into` with the guest's bytes from `offset`. */
  read(offset: number, into: Uint8Array, options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** Where every byte of the range comes from, in order, neighbours of one kind merged. */
  map(range?: Range, options?: OperationOptions): AsyncIterable<Extent>;
  /** The first offset from `offset` on that may hold data; null when there is none. */
  seekData(offset: number): Promise<number | null>;
  /** The first offset from `offset` on that certainly reads as zeros; null when there is none. */
  seekHole(offset: number): Promise<number | null>;
  /**
   * Counts every reference of the image against its refcounts. Damage is a finding, never an error. An image that is
   * open for writing is flushed first, and changes wait until the check ends.
   */
  check(options?: CheckOptions): Promise<CheckReport>;
  /**
   * The disk of an internal snapshot, to read: a view that ends with this image. An id is looked for first, then a
   * name.
   */
  openSnapshot(idOrName: string): Promise<Disk>;
  /** The ranges that a persistent bitmap marks, in order, neighbours merged. */
  dirtyRanges(bitmap: string, options?: OperationOptions): AsyncIterable<Range>;
  /** The guest's bytes as a stream, a byte stream where the platform has them. */
  readable(range?: Range, options?: OperationOptions): ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * Writes guest bytes from `offset` on. They are on the medium when the next `flush` has returned. A started write
   * finishes.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Turns guest bytes into zeros; `unmap` gives up the clusters that held them. */
  writeZeroes(offset: number, length: number, options?: { unmap?: boolean | undefined }): Promise<void>;
  /** Gives up guest bytes, and the clusters that held them. */
  discard(offset: number, length: number): Promise<void>;
  /** Returns when everything that was written, zeroed and discarded is on the medium. */
  flush(): Promise<void>;
  /** A stream to write guest bytes to, from `start` on; it flushes when it is closed. */
  writable(options?: { start?: number | undefined }): WritableStream<Uint8Array>;
  /** Flushes, then lets go of the image and of every file that opening it opened. A second call does nothing. */
  close(): Promise<void>;
}
