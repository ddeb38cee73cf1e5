/** The types of options. */
import type { ImageReference, Resolved } from './openable.js';
import type { LostRange } from './range.js';

/**
 * The progress of a long operation. `done` and `total` are in bytes, never decrease, and are reported at most ten times
 * a second.
 */
export interface Progress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** Options of every long operation. */
export interface OperationOptions {
  /** Aborting rejects with `signal.reason`, unchanged. */
  signal?: AbortSignal | undefined;
  /**
   * If it throws, the operation rejects with that error and has the effects of a failure. It is not called once the
   * result is final.
   */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** Options of `createSnapshot`. */
export interface CreateSnapshotOptions extends OperationOptions {
  /** When it was taken. By default now. */
  date?: Date | undefined;
  /** How long the guest had run, nanoseconds: a whole number from 0 to 2^64 - 1. By default 0. */
  vmClock?: bigint | undefined;
  /** The instruction count of record and replay: a whole number from 0 to 2^63 - 1. By default none. */
  icount?: bigint | undefined;
}

/** Options of operations that can read past damage. */
export interface SalvageOptions extends OperationOptions {
  /**
   * Go on where an entry, a table or a compressed cluster is damaged, in any file of the chain, or where a source
   * fails with `io`: such ranges are zeros. All other errors end the operation as without it. Default false.
   */
  salvage?: boolean | undefined;
  /**
   * Called with every lost range once, in ascending order: before the bytes or extents behind the range are returned,
   * and before the operation ends. If it throws, the operation rejects with that error. Used only with `salvage`.
   */
  onLost?: ((lost: LostRange) => void) | undefined;
}

/** Options of a map. */
export interface MapOptions extends SalvageOptions {
  /**
   * Read the data as well, and set `zero` where all bytes of a unit of allocation, `info.subclusterSize`, are zeros.
   * Such extents keep `data` and their `offset`: they are stored, and could be discarded. Default false. It takes as
   * long as reading the disk.
   */
  detectZeroes?: boolean | undefined;
}

/** Options of dehydrating an image. */
export interface DehydrateOptions extends OperationOptions {
  /**
   * False replaces the names inside the image by placeholders of the same length: those of the backing file, the data
   * file, snapshots (their ids, too) and bitmaps. Default true.
   */
  names?: boolean | undefined;
}

/** Options of resizing a disk. */
export interface ResizeOptions extends OperationOptions {
  /** Allows a smaller size: what is stored past it is lost. Default false. */
  shrink?: boolean | undefined;
}

/**
 * When an image is compacted by itself: after a discard, a writing of zeros, a resize or a sparsify, while no request
 * reads or writes, in batches of 4 MiB. A request waits for at most one batch, and ends the compaction's work until the
 * image is idle again. Only what became free since the image was opened counts. Closing the image does not compact it:
 * call {@link Disk.compact} before, where that is wanted. Leaks are not searched. A LUKS image is not compacted.
 */
export interface AutoCompactOptions {
  /** How many bytes of the file must have become free since the last time. */
  afterDiscarded: number;
  /** How many free bytes stay in the file for what is written next. */
  keepFree: number;
}

/** Options of opening an image. */
export interface OpenOptions extends OperationOptions {
  /**
   * `'read'`, the default, never writes. `'readwrite'` needs a `BlockDevice` with an image that is neither dirty nor
   * corrupt; see `verify`. `'repair'` needs a `BlockDevice`, and opens an image whose refcounts, snapshot table or
   * bitmaps are damaged, to read and to {@link Disk.repair} it.
   */
  mode?: 'read' | 'readwrite' | 'repair' | undefined;
  /**
   * Repairs an image that is marked dirty before it is opened for writing, as QEMU does; default false. Such an image
   * was not closed. Without it, it is refused with `needs-repair`.
   */
  repairDirty?: boolean | undefined;
  /**
   * Called for every other file named in the image. Without it, or when it returns undefined, the image still opens:
   * `info` and the map of its own layer work, and reads that need the file throw `reference-refused`. A file that is
   * already in the chain, by its `identity`, is refused with `corrupt`.
   */
  resolve?: ((reference: ImageReference) => Promise<Resolved>) | undefined;
  /**
   * Checks the image, as `check` does, before it is opened for writing; default true. An image with anything but leaks
   * is refused with `corrupt`. Backing files are not checked. It reads all L2 tables and refcount blocks: 8 bytes per
   * guest cluster and 2 per cluster of the file. Without it a write to a damaged image can destroy its data, as with
   * QEMU.
   */
  verify?: boolean | undefined;
  /**
   * Budgets of the tables in memory, in bytes, for each file of the chain: L2 tables, default 32 MiB, and refcount
   * blocks of an image that is open for writing, default 16 MiB.
   */
  cache?: { l2Bytes?: number | undefined; refcountBytes?: number | undefined } | undefined;
  /**
   * Compacts an image that is open for writing by itself; default: it does not. See {@link AutoCompactOptions}. Ignored
   * in other modes.
   */
  autoCompact?: AutoCompactOptions | undefined;
}

/** Options of creating an image, named after those of `qemu-img create -o`. */
export interface CreateOptions extends OperationOptions {
  /** Virtual size of the disk, bytes; rounded up to a multiple of 512, which `info` contains. */
  size: number;
  /** Default 3. */
  version?: 2 | 3 | undefined;
  /** A power of two from 512 to 2 MiB; default 64 KiB. */
  clusterSize?: number | undefined;
  /** A power of two from 1 to 64; default 16. */
  refcountBits?: number | undefined;
  /** Postpone refcount updates while the image is open; it is marked dirty meanwhile. */
  lazyRefcounts?: boolean | undefined;
  /** Compression of clusters; default `'zlib'`, which is deflate. */
  compressionType?: 'zlib' | 'zstd' | undefined;
  /** Allocate subclusters, 32 per cluster; needs clusters of at least 16 KiB. */
  extendedL2?: boolean | undefined;
  /** `'metadata'` allocates all tables and a host cluster for every guest cluster; default `'off'`. */
  preallocation?: 'off' | 'metadata' | undefined;
  /**
   * Name of the backing file, relative to this one; at most 1023 bytes. `resolve` is called for it before anything is
   * written.
   */
  backingFile?: string | undefined;
  /** Format of the backing file. QEMU requires it. */
  backingFormat?: string | undefined;
  /** Name of the external data file. `resolve` must return it as a `BlockDevice`. */
  dataFile?: string | undefined;
  /** Keep the data file readable as a raw disk. */
  dataFileRaw?: boolean | undefined;
  /**
   * Replace the contents of the device and of the data file; default false: one that is not empty is refused with
   * `exists`.
   */
  overwrite?: boolean | undefined;
}
