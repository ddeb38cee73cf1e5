/** The interface that `Qcow2Image` and, across a worker, `WorkerImage` share. */
import type { CheckOptions, CheckReport } from './check-report.js';
import type { Transfer } from './device.js';
import type { BitmapInfo, ImageInfo, ImageStats, SnapshotInfo } from './info.js';
import type { OperationOptions } from './options.js';
import type { Extent, Range } from './range.js';

/** What a request that only moves bytes takes. */
export interface ReadOptions {
  /** Aborting rejects with `signal.reason`, untouched. */
  signal?: AbortSignal | undefined;
}

/** How guest bytes are turned into zeros. */
export interface WriteZeroesOptions {
  /** Give up the clusters that held the bytes; default false. */
  unmap?: boolean | undefined;
}

/** Where a stream of guest bytes to write begins. */
export interface WritableOptions {
  /** Guest offset, bytes; default 0. */
  start?: number | undefined;
}

/**
 * The disk that an image holds: everything but the synchronous forms. Offsets and lengths are in bytes. After `close`
 * every method throws or rejects with {@link Qcow2Error} `closed`.
 */
export interface Disk extends AsyncDisposable {
  /** Size of the disk that the guest sees, bytes. */
  readonly size: number;
  /** Everything the image says of itself; plain and structured-cloneable. */
  readonly info: ImageInfo;
  /** The internal snapshots, in the order of the table. */
  readonly snapshots: readonly SnapshotInfo[];
  /** The persistent bitmaps; none when the image says that they are not to be trusted. */
  readonly bitmaps: readonly BitmapInfo[];

  /** Device calls and other figures since the image was opened. */
  stats(): Promise<ImageStats>;

  /**
   * Fills `into` with the guest's bytes from `offset` on.
   *
   * @throws {@link Qcow2Error} `out-of-range` past the end of the disk, `reference-refused` when a file that was not
   *   handed over is needed, `corrupt`, `unsupported`, and what the source throws; RangeError for an offset that is no
   *   whole number from 0 on; TypeError when `into` is no Uint8Array, or loses its memory (detached, shrunk) before the
   *   read has ended; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const sector = new Uint8Array(512);
   * await image.read(0, sector);
   * ```
   */
  read(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void>;
  /**
   * Reads `length` of the guest's bytes from `offset` on, into memory of their own.
   *
   * @throws as the other form does; RangeError also for a length that is no whole number from 0 on, or more than the
   *   platform gives in one piece
   *
   * @example
   * ```ts
   * const sector = await image.read(0, 512);
   * ```
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * Fills every buffer with the guest's bytes from its offset, `at`, as one request: what is near in the file is read
   * together.
   *
   * @throws as {@link read} does; when one of the buffers loses its memory, the others have been filled
   *
   * @example
   * ```ts
   * const first = new Uint8Array(512);
   * const last = new Uint8Array(512);
   * await image.readBatch([
   *   { at: 0, bytes: first },
   *   { at: image.size - 512, bytes: last },
   * ]);
   * ```
   */
  readBatch(transfers: readonly Transfer[], options?: ReadOptions): Promise<void>;

  /**
   * The guest's bytes as a stream: a byte stream where the platform has them. Cancelling it ends the reading. The
   * stream errors as {@link read} does.
   *
   * @throws {@link Qcow2Error} `out-of-range`; RangeError for a range that is none
   *
   * @example
   * ```ts
   * const response = new Response(image.readable({ start: 2 ** 20, length: 4096 }));
   * ```
   */
  readable(range?: Range, options?: OperationOptions): ReadableStream<Uint8Array<ArrayBuffer>>;

  /**
   * Where every byte of the range comes from, as `qemu-img map` reports it: in order, without gaps, neighbours of one
   * kind merged. Leaving the loop early frees what it holds.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `corrupt`, and what the source throws; RangeError for a range that is
   *   none; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * for await (const { start, length, data } of image.map()) {
   *   if (data) console.log(`${length} bytes are stored from ${start} on`);
   * }
   * ```
   */
  map(range?: Range, options?: OperationOptions): AsyncIterableIterator<Extent, undefined, undefined>;

  /**
   * The first offset from `offset` on that may hold data; undefined when there is none.
   *
   * @throws as {@link map} does
   */
  seekData(offset: number): Promise<number | undefined>;

  /**
   * The first offset from `offset` on that certainly reads as zeros; undefined when there is none.
   *
   * @throws as {@link map} does
   */
  seekHole(offset: number): Promise<number | undefined>;

  /**
   * Counts every reference to every cluster of the image's own file, and compares them with its refcounts, as
   * `qemu-img check` does. Reads the file anew. An image that is open for writing is flushed first. Changes wait until
   * the check ends, and so do reads that come after a change that waits. Damage is a finding, never an error.
   *
   * @throws {@link Qcow2Error} `closed` also when the image is closed meanwhile, and what `flush` and the source throw;
   *   the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const { corruptions, leaks, findings } = await image.check({ signal });
   * for (const { what, at, message } of findings) console.log(`${what} at ${at}: ${message}`);
   * ```
   */
  check(options?: CheckOptions): Promise<CheckReport>;

  /**
   * The disk of an internal snapshot, to read; of the size that the disk had. An id is looked for first, then a name,
   * as QEMU does. Closing the view leaves this image open; closing this image closes the view.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` or `unsupported` with the snapshot in `details`, and what the
   *   source throws
   *
   * @example
   * ```ts
   * const [oldest] = image.snapshots;
   * if (oldest) {
   *   const disk = await image.openSnapshot(oldest.id);
   *   console.log(disk.size);
   * }
   * ```
   */
  openSnapshot(idOrName: string): Promise<Disk>;

  /**
   * The ranges of the disk that a persistent bitmap marks: in order, neighbours merged, none past the end of the disk.
   * While the image is written, as of the first range that is asked for. Leaving the loop early frees what it holds.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` when the bitmap is damaged or was in use when the image was last
   *   written, `unsupported`, and what the source throws; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * for (const { name } of image.bitmaps) {
   *   for await (const { start, length } of image.dirtyRanges(name)) console.log(name, start, length);
   * }
   * ```
   */
  dirtyRanges(bitmap: string, options?: OperationOptions): AsyncIterableIterator<Range, undefined, undefined>;

  /**
   * Writes guest bytes from `offset` on. What is written is read back at once; it is on the medium, whatever happens,
   * when the next `flush` has resolved. A started write finishes. `bytes` must stay as they are until then.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `read-only`, `corrupt`, `unsupported` when the disk is encrypted,
   *   `reference-refused`, `no-space`, `failed` after an earlier failure, and what the device throws; RangeError for an
   *   offset that is no whole number from 0 on; TypeError when `bytes` is no Uint8Array, or loses its memory (detached,
   *   shrunk) before the write has ended: of the range any part may have been written then
   *
   * @example
   * ```ts
   * await image.write(0, bytes);
   * await image.flush();
   * ```
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;

  /**
   * Writes all bytes to their offsets, `at`: where they overlap, the later over the earlier.
   *
   * @throws as {@link write} does, once every part has ended; the others may have been written
   */
  writeBatch(transfers: readonly Transfer[]): Promise<void>;

  /**
   * Turns guest bytes into zeros, by marking them as such where the format can. `unmap` gives up the clusters that held
   * them.
   *
   * @throws as {@link write} does
   */
  writeZeroes(offset: number, length: number, options?: WriteZeroesOptions): Promise<void>;

  /**
   * Gives up guest bytes, and the clusters that held them. They read as zeros from then on; only in an image of version
   * 2 with a backing file nothing happens, since it has no way to mark them.
   *
   * @throws as {@link write} does
   */
  discard(offset: number, length: number): Promise<void>;

  /**
   * Resolves when everything that was written, zeroed and discarded is on the medium. An image that was opened for
   * reading has nothing to bring there.
   *
   * @throws {@link Qcow2Error} `failed`, `corrupt`, `no-space`, and what the device throws
   */
  flush(): Promise<void>;

  /**
   * A stream to write guest bytes to. It takes chunks of any size, writes whole clusters, takes no more until they are
   * written, and flushes when it is closed. The stream errors as {@link write} does.
   *
   * @throws {@link Qcow2Error} `read-only`, `out-of-range`; RangeError for a start that is no whole number from 0 on
   *
   * @example
   * ```ts
   * await file.stream().pipeTo(image.writable({ start: 2 ** 20 }));
   * ```
   */
  writable(options?: WritableOptions): WritableStream<Uint8Array>;

  /**
   * Flushes, then releases the image and every file that opening it opened, also when it rejects. A second call waits
   * for the first. What was started is waited for. Only when one read of a file behind the image takes longer than a
   * second meanwhile, all requests that still need such a file reject with `closed`; a read whose source cannot be
   * stopped does when the source ends.
   *
   * @throws what the first write or flush that failed threw, unless `flush` has rejected because of it: what was
   *   written since the last flush may be lost. Otherwise as {@link flush} does
   */
  close(): Promise<void>;
}
