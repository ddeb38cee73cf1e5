/** The interface that `Qcow2Image` and, across a worker, `WorkerImage` share. */
import type { CheckOptions, CheckReport } from './check-report.js';
import type { BitmapInfo, ImageInfo, SnapshotInfo } from './info.js';
import type { OperationOptions } from './options.js';
import type { Extent, Range } from './range.js';

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
