/** Types of the options that callers pass. */
import type { ImageReference, Resolved } from './openable.js';

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

/** How an image is opened. */
export interface OpenOptions extends OperationOptions {
  /**
   * `'read'`, the default, never writes. For `'readwrite'` the image must be a `BlockDevice`, neither dirty nor
   * corrupt; see `verify`.
   */
  mode?: 'read' | 'readwrite' | undefined;
  /**
   * Called for every other file that the image names. Without it, and when it returns undefined, the image still opens:
   * `info` and the map of its own layer work, and the first read that needs the file throws `reference-refused`. A file
   * that is in the chain already, by its `identity`, is refused with `corrupt`.
   */
  resolve?: ((reference: ImageReference) => Promise<Resolved>) | undefined;
  /**
   * Whether every reference of the image is counted, as `check` does, before it is opened for writing; default true. An
   * image in which that finds anything but leaks is refused with `corrupt`. Files behind the image are not looked at.
   * It reads all L2 tables and refcount blocks: 8 bytes for each cluster of the guest and 2 for each of the file.
   * Without it a write to a damaged image can destroy what it holds, as with QEMU.
   */
  verify?: boolean | undefined;
  /**
   * Budgets of the tables in memory, in bytes, for each file of the chain: L2 tables, by default 32 MiB, and refcount
   * blocks of an image that is written, 16 MiB.
   */
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
  /** Replace what the device and the data file hold; default false: one that is not empty is refused with `exists`. */
  overwrite?: boolean | undefined;
}
