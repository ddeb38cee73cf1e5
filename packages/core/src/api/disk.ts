/** The interface that `Qcow2Image` and, across a worker, `WorkerImage` share. */
import type { CheckOptions, CheckReport } from './check-report.js';
import type { Transfer } from './device.js';
import type { HashAlgorithm } from './hash.js';
import type { BitmapInfo, CompactReport, ImageInfo, ImageStats, SnapshotInfo, SparsifyReport } from './info.js';
import type {
  CreateSnapshotOptions,
  DehydrateOptions,
  MapOptions,
  OperationOptions,
  ResizeOptions,
  SalvageOptions,
} from './options.js';
import type { Extent, Range } from './range.js';
import type { RepairOptions, RepairReport } from './repair-report.js';
import type { SnapshotReference } from './snapshot-reference.js';
import type { Usage } from './usage.js';

/** Options of a read. */
export interface ReadOptions {
  /** Aborting rejects with `signal.reason`, unchanged. */
  signal?: AbortSignal | undefined;
}

/** Options of writing zeros. */
export interface WriteZeroesOptions {
  /** Deallocate the clusters; default false. */
  unmap?: boolean | undefined;
}

/** Options of a writable stream. */
export interface WritableOptions {
  /** Guest offset, bytes; default 0. */
  start?: number | undefined;
}

/**
 * The virtual disk of an image: all methods but the synchronous ones. Offsets and lengths are in bytes. After `close`
 * every method throws or rejects with {@link Qcow2Error} `closed`. Every method refuses arguments and options of the
 * wrong type or value with a TypeError or, for numbers, a RangeError, before anything is read, written or changed.
 */
export interface Disk extends AsyncDisposable {
  /** Virtual size of the disk, bytes. */
  readonly size: number;
  /** The properties of the image; structured-cloneable. */
  readonly info: ImageInfo;
  /** The internal snapshots, in the order of the table. */
  readonly snapshots: readonly SnapshotInfo[];
  /** The persistent bitmaps; none when the image marks them as invalid. */
  readonly bitmaps: readonly BitmapInfo[];

  /**
   * Counts of device calls and other operations since the image was opened, and what is known of the clusters of an
   * image that is open for writing. It makes no device call.
   */
  stats(): Promise<ImageStats>;

  /**
   * Fills `into` with the guest bytes at `offset`.
   *
   * @throws {@link Qcow2Error} `out-of-range` past the end of the disk, `reference-refused` when it needs a file that
   *   was not provided, `corrupt`, `unsupported`, and the errors of the source; RangeError when the offset is not a
   *   whole number from 0 on; TypeError when `into` is not a Uint8Array, or is detached or shrunk before the read ends;
   *   the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const sector = new Uint8Array(512);
   * await image.read(0, sector);
   * ```
   */
  read(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void>;
  /**
   * Reads `length` guest bytes at `offset` into a new array.
   *
   * @throws as the other overload; RangeError also for a length that is not a whole number from 0 on, or too large for
   *   one array
   *
   * @example
   * ```ts
   * const sector = await image.read(0, 512);
   * ```
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * Fills every buffer with the guest bytes at its offset, `at`, as one request. Bytes near each other in the file are
   * read together.
   *
   * @throws as {@link read}; when a buffer is detached or shrunk, the others have been filled
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
   * Returns the guest bytes as a stream: a byte stream where the platform supports it. Cancelling it stops the reads.
   * The stream errors as {@link read} does. With `salvage` it has zeros in place of what cannot be read, and `onLost`
   * is called for those ranges. They are as small as can be told: a cluster behind a damaged entry or in a damaged
   * compressed stream, what an L2 table maps where that cannot be loaded.
   *
   * A browser hides the error of a stream that is the body of a `Response`: `blob()` of that rejects with an error of
   * the browser's own. Read the stream with a reader or `pipeTo` to get the {@link Qcow2Error}.
   *
   * @throws {@link Qcow2Error} `out-of-range`; RangeError for an invalid range
   *
   * @example
   * ```ts
   * const response = new Response(image.readable({ start: 2 ** 20, length: 4096 }));
   * const damaged = image.readable(undefined, {
   *   salvage: true,
   *   onLost: ({ start, length, message }) => console.log(`${length} bytes at ${start} are lost: ${message}`),
   * });
   * ```
   */
  readable(range?: Range, options?: SalvageOptions): ReadableStream<Uint8Array<ArrayBuffer>>;

  /**
   * Returns where the bytes of the range are stored, as `qemu-img map` reports it: in order, without gaps, adjacent
   * extents of one kind merged. QEMU may also ask the file system where the image file has holes, and reports them
   * as zeros; `detectZeroes` finds such zeros by reading. Leaving the loop early releases its resources. With `salvage`
   * it goes on behind damaged tables: what they cover is `unreadable`, and so are bytes past the end of a file. Without
   * `detectZeroes` the map reads no data, so that damaged compressed clusters and failing sources of data are found by
   * {@link readable} alone.
   *
   * With `detectZeroes` it reads all data, and an extent whose stored bytes are all zeros has both `data` and `zero`.
   * Each `info.subclusterSize` bytes, at a multiple of that, are tested by themselves; where the range or an extent
   * begins or ends within them, its part of them is. Compressed clusters are decompressed. With `salvage` as well, data
   * that cannot be read are `unreadable` and lost. No lock is held between reads: what is written meanwhile is tested
   * as it was, or as it is then.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `corrupt`, and the errors of the source; with `detectZeroes` as
   *   {@link read}; RangeError for an invalid range; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * for await (const { start, length, data } of image.map()) {
   *   if (data) console.log(`${length} bytes are stored from ${start} on`);
   * }
   * for await (const { start, length, unreadable } of image.map(undefined, { salvage: true })) {
   *   if (unreadable) console.log(`${length} bytes are unreadable from ${start} on`);
   * }
   * for await (const { start, length, data, zero } of image.map(undefined, { detectZeroes: true })) {
   *   if (data && zero) console.log(`${length} bytes from ${start} on are stored zeros`);
   * }
   * ```
   */
  map(range?: Range, options?: MapOptions): AsyncIterableIterator<Extent, undefined, undefined>;

  /**
   * Returns the first offset from `offset` on that may contain data, undefined when there is none.
   *
   * @throws as {@link map}
   */
  seekData(offset: number): Promise<number | undefined>;

  /**
   * Returns the first offset from `offset` on that certainly reads as zeros, undefined when there is none.
   *
   * @throws as {@link map}
   */
  seekHole(offset: number): Promise<number | undefined>;

  /**
   * Counts all references to all clusters of the image file and compares them with its refcounts, as `qemu-img check`
   * does. Uses no cached tables. An image that is open for writing is flushed first. Changes wait until the check ends,
   * and so do reads that are queued behind a waiting change. Damage is a finding, never an error.
   *
   * @throws {@link Qcow2Error} `closed` also when the image is closed meanwhile, and the errors of `flush` and of the
   *   source; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const { corruptions, leaks, findings } = await image.check({ signal });
   * for (const { impact, count, places } of findings) console.log(impact, count, places[0]?.message);
   * ```
   */
  check(options?: CheckOptions): Promise<CheckReport>;

  /**
   * Returns where the bytes of the image file are: how many belong to the disk, to each snapshot alone, to tables and
   * to bitmaps, how many are leaked, and how many are free. They add up to the length of the file. For the view of a
   * snapshot they are those of the whole image.
   *
   * It reads all L2 tables and refcount blocks, and uses no cached ones. What a damaged entry refers to outside the
   * file counts nowhere. It takes two bytes of memory for each cluster in use, and more in images with over 250
   * snapshots. An image that is open for writing is flushed first. Changes wait until it ends, and so do reads that are
   * queued behind a waiting change.
   *
   * @throws {@link Qcow2Error} `closed` also when the image is closed meanwhile, `corrupt` when the snapshot table is
   *   damaged, `unsupported` when the file has 2^31 clusters or more, and the errors of `flush` and of the source; the
   *   signal's reason when it aborts
   *
   * @example
   * ```ts
   * const { fileSize, data, free, snapshots } = await image.usage({ signal });
   * console.log(`${data} bytes of data, ${free} of ${fileSize} are free`);
   * for (const { name, exclusive } of snapshots) console.log(`deleting ${name} would free ${exclusive} bytes`);
   * ```
   */
  usage(options?: OperationOptions): Promise<Usage>;

  /**
   * Returns the hash of all guest bytes: that of the raw disk, as `sha256sum` prints it of the file that `qemu-img
   * convert -O raw` writes. What is unallocated or reads as zeros is hashed without being read. `onProgress` counts the
   * guest bytes that have been hashed.
   *
   * It holds no lock between its reads. Bytes that are written meanwhile are hashed either as they were or as they are
   * then; for the hash of one state, write nothing until it resolves.
   *
   * @throws as {@link read}; TypeError for another algorithm; {@link Qcow2Error} `closed` also when the image is closed
   *   meanwhile; the signal's reason when it aborts, which is tested before each read and each MiB that is hashed
   *
   * @example
   * ```ts
   * const hash = await image.digest('SHA-256', { signal });
   * console.log(Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join(''));
   * ```
   */
  digest(algorithm: HashAlgorithm, options?: OperationOptions): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * Repairs an image that was opened with mode `'repair'`. `fix: 'leaks'` frees unused clusters; `'all'` repairs
   * everything that can be repaired, and the report says range by range what is lost and what was copied. Guest data
   * that can be read before read the same afterwards. Until the repair is complete the image is marked corrupt (version
   * 3): after an abort or a crash, a second repair completes it. Its report does not name what the first one had
   * already removed or copied: keep the report of a dry run that was made before. Snapshots opened before keep their
   * view. Writes need the image to be opened again with mode `'readwrite'`.
   *
   * @throws {@link Qcow2Error} `read-only` in another mode, `needs-repair` when `'leaks'` is not enough, and the errors
   *   of the device; TypeError for another `fix`; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * import { Qcow2Image } from 'qcow2';
   *
   * const damaged = await Qcow2Image.open(device, { mode: 'repair' });
   * const { after, lost } = await damaged.repair({ fix: 'all' });
   * console.log(after.corruptions, lost);
   * await damaged.close();
   * ```
   */
  repair(options: RepairOptions): Promise<RepairReport>;

  /**
   * Returns a small file with all metadata of the image file and none of the guest's data, to attach to a report of a
   * fault. `rehydrate` makes an image of it, of which `check` reports what it reports of this one. Of an image that
   * opens with mode `'repair'` alone, since its snapshot table or bitmap directory is damaged, the file has that
   * structure as a repair would correct it: this fault is not reported. A damaged image may have an entry that leads a
   * table into guest data: what `check` reads there as a table is in the file. Backing files, the external data file
   * and the keys of an encrypted disk are not.
   *
   * The first read of the stream checks the image; progress has the phases `'check'` and `'dehydrate'`. An image that
   * is open for writing is flushed first. Changes wait until the stream has ended or was cancelled, and so do reads
   * that are queued behind a waiting change: read it without a pause. Closing the image ends it.
   *
   * The stream errors with {@link Qcow2Error} `closed` when the image is closed meanwhile, with the errors of `flush`
   * and of the source, and with the signal's reason when it aborts. In a browser a `Response` hides these errors, as
   * those of {@link readable}.
   *
   * @throws {@link Qcow2Error} `closed`
   *
   * @example
   * ```ts
   * const report = await new Response(image.dehydrate({ names: false })).blob();
   * ```
   */
  dehydrate(options?: DehydrateOptions): ReadableStream<Uint8Array<ArrayBuffer>>;

  /**
   * Opens the disk of an internal snapshot for reading, with the size that the disk had. Every change of the view
   * rejects with `read-only`, also when the image is open for writing. Closing the view leaves this image open; closing
   * this image closes the view. When the snapshot is deleted, its reads reject with `not-found`.
   *
   * @throws {@link Qcow2Error} `not-found`, `ambiguous`, `corrupt` or `unsupported` with the snapshot in `details`, and
   *   the errors of the source
   *
   * @example
   * ```ts
   * const [oldest] = image.snapshots;
   * if (oldest) {
   *   const disk = await image.openSnapshot({ id: oldest.id });
   *   console.log(disk.size);
   * }
   * ```
   */
  openSnapshot(which: SnapshotReference): Promise<Disk>;

  /**
   * Returns the ranges of the disk that a persistent bitmap marks: in order, adjacent ranges merged, none past the end
   * of the disk. While the image is written, they are those at the time of the first `next()`. Leaving the loop early
   * releases its resources.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` when the bitmap is damaged or was in use when the image was last
   *   written, `unsupported`, and the errors of the source; the signal's reason when it aborts
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
   * Writes guest bytes at `offset`. Reads return them at once; they survive a crash when the next `flush` has resolved.
   * A started write cannot be aborted. `bytes` must not change until it ends.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `read-only`, `corrupt`, `unsupported` when the disk is encrypted,
   *   `reference-refused`, `no-space`, `failed` after an earlier failure, and the errors of the device; RangeError when
   *   the offset is not a whole number from 0 on; TypeError when `bytes` is not a Uint8Array, or is detached or shrunk
   *   before the write ends: any part of the range may have been written then
   *
   * @example
   * ```ts
   * await image.write(0, bytes);
   * await image.flush();
   * ```
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;

  /**
   * Writes all transfers to their offsets, `at`. Where they overlap, the later one wins.
   *
   * @throws as {@link write}, after all transfers have ended; the others may have been written
   */
  writeBatch(transfers: readonly Transfer[]): Promise<void>;

  /**
   * Writes zeros, as zero clusters where the format allows it. `unmap` deallocates their host clusters.
   *
   * @throws as {@link write}
   */
  writeZeroes(offset: number, length: number, options?: WriteZeroesOptions): Promise<void>;

  /**
   * Deallocates the clusters of guest bytes, which then read as zeros. Does nothing in a version 2 image with a backing
   * file: that version has no zero clusters.
   *
   * @throws as {@link write}
   */
  discard(offset: number, length: number): Promise<void>;

  /**
   * Changes the size of the disk to `size` bytes, rounded up to a multiple of 512; {@link size} is the result. Added
   * bytes read as zeros, also over a longer backing file. A smaller size needs `shrink: true`; what is cut is lost, its
   * clusters are freed, and the file becomes shorter where they were at its end. Snapshots keep their size; bitmaps
   * follow the disk. Other requests run meanwhile: streams and iterators end where a shorter disk ends. When it
   * resolves, the new size is on the medium.
   *
   * An abort, a failure or a crash leaves the old size or the new one. Where the disk shrinks, part of what was cut may
   * still be allocated then; another call with the same size and `shrink`, or {@link compact}, frees it.
   *
   * @throws {@link Qcow2Error} `read-only`, `unsupported` for an encrypted disk, a version 2 image with snapshots, and
   *   bitmaps that cannot have as many bits, or none, `reference-refused` without the data file or, to grow, the
   *   backing file, `no-space`, `closed` also when the image is closed meanwhile, and as {@link flush}; RangeError for
   *   a size that is not a whole number from 0 on, that is too large for the clusters, or that is smaller without
   *   `shrink`; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * await image.resize(2 * image.size);
   * ```
   */
  resize(size: number, options?: ResizeOptions): Promise<void>;

  /**
   * Releases the clusters of this disk that contain only zeros; with extended L2 entries, subclusters too. They read as
   * zeros as before, and {@link compact} can give their space back. Clusters that a snapshot shares stay. Does nothing
   * in a version 2 image with a backing file, which has no zero clusters, and with an external data file. Other
   * requests run meanwhile, and wait for at most one read of 4 MiB. Bitmaps mark nothing: the contents do not change.
   *
   * @throws {@link Qcow2Error} `read-only`, `unsupported` when the disk is encrypted, `closed` also when the image is
   *   closed meanwhile, and as {@link read} and {@link flush}; the signal's reason when it aborts: what was released
   *   stays so
   *
   * @example
   * ```ts
   * const { released } = await image.sparsify();
   * if (released > 0) await image.compact();
   * ```
   */
  sparsify(options?: OperationOptions): Promise<SparsifyReport>;

  /**
   * Makes the image file as short as it can be, as after discards: moves what lies at its end into free clusters before
   * it, frees leaks and tables that map nothing, lowers refcounts that are too high, and cuts the end off. The disk,
   * its snapshots and its bitmaps stay as they are. Other requests run meanwhile: they wait for at most one batch of
   * 4 MiB, or a table. First the references are counted, as by {@link check}; changes wait until that is done. Progress
   * counts the bytes that are moved.
   *
   * An abort, a failure or a crash leaves the image whole, and partly compacted. What requests change meanwhile may
   * leave free clusters; a second call moves them.
   *
   * @throws {@link Qcow2Error} `read-only`, `unsupported` for a LUKS image, `corrupt` when the image has any damage but
   *   leaks, `closed` also when the image is closed meanwhile, and as {@link flush}; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const { oldSize, newSize } = await image.compact();
   * console.log(`${oldSize - newSize} bytes were freed.`);
   * ```
   */
  compact(options?: OperationOptions): Promise<CompactReport>;

  /**
   * Takes an internal snapshot of the disk as it is when it is taken, under a new id. Several snapshots may have one
   * name. Reads and writes wait until it ends, which takes as long as it takes to read all L2 tables three times. When
   * it resolves, the snapshot is on the medium, and so is what was written before.
   *
   * An abort or a failed read leaves the image as it was; a crash leaves clusters allocated that nothing uses.
   *
   * @throws {@link Qcow2Error} `read-only`, `unsupported` with an external data file, when a refcount would become
   *   larger than its bits allow, and for more than 65,536 snapshots, `corrupt` when an entry or a refcount is wrong,
   *   `no-space`, `closed` also when the image is closed meanwhile, and as {@link flush}; TypeError and RangeError for
   *   wrong arguments; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * const { id } = await image.createSnapshot('before the update');
   * ```
   */
  createSnapshot(name: string, options?: CreateSnapshotOptions): Promise<SnapshotInfo>;

  /**
   * Makes the disk what it was when the snapshot was taken, its size included. The snapshot stays; what was written
   * since is lost, unless another snapshot has it. Reads and writes wait until the disk has changed; then its old
   * clusters are released while requests run. When it resolves, all of it is on the medium.
   *
   * An abort or a crash leaves the old disk or the new one; clusters may stay allocated that nothing uses, which
   * {@link compact} frees.
   *
   * @throws {@link Qcow2Error} `not-found`, `ambiguous`, `unsupported` also for an image with bitmaps, and as
   *   {@link createSnapshot}
   *
   * @example
   * ```ts
   * await image.applySnapshot({ name: 'before the update' });
   * ```
   */
  applySnapshot(which: SnapshotReference, options?: OperationOptions): Promise<void>;

  /**
   * Deletes an internal snapshot. The disk and the other snapshots stay as they are. Requests run while its clusters
   * are released. Open views of it end. An abort or a crash after the snapshot is gone leaves clusters allocated that
   * nothing uses; {@link compact} frees them.
   *
   * @throws {@link Qcow2Error} `not-found`, `ambiguous`, and as {@link createSnapshot}
   *
   * @example
   * ```ts
   * for (const { id } of image.snapshots) await image.deleteSnapshot({ id });
   * ```
   */
  deleteSnapshot(which: SnapshotReference, options?: OperationOptions): Promise<void>;

  /**
   * Renames an internal snapshot. Its id stays.
   *
   * @throws {@link Qcow2Error} `not-found`, `ambiguous`, and as {@link createSnapshot}
   */
  renameSnapshot(which: SnapshotReference, name: string, options?: OperationOptions): Promise<void>;

  /**
   * Resolves when everything that was written, zeroed and discarded is on the medium. Does nothing for an image that
   * was opened for reading.
   *
   * @throws {@link Qcow2Error} `failed`, `corrupt`, `no-space`, and the errors of the device
   */
  flush(): Promise<void>;

  /**
   * Returns a stream that writes guest bytes. It accepts chunks of any size, writes whole clusters, applies
   * backpressure until they are written, and flushes when it is closed. The stream errors as {@link write} does.
   *
   * @throws {@link Qcow2Error} `read-only`, `out-of-range`; RangeError when the start is not a whole number from 0 on
   *
   * @example
   * ```ts
   * await file.stream().pipeTo(image.writable({ start: 2 ** 20 }));
   * ```
   */
  writable(options?: WritableOptions): WritableStream<Uint8Array>;

  /**
   * Flushes, then releases the image and every file that opening it opened, even when it rejects. What `resolve`
   * returned is closed; a source or a device that was passed to `open` or `create` is not. A second call waits for the
   * first. It waits for started requests. If one read of a backing file takes longer than a second meanwhile,
   * all requests that still need such a file reject with `closed`. A read whose source ignores the signal and its own
   * `close` rejects only when that source ends it, since its buffer may be filled until then: it may stay pending for
   * ever, after `close` has resolved.
   *
   * @throws the error of the first failed write or flush, unless `flush` has already rejected with it: what was written
   *   since the last flush may be lost. Otherwise as {@link flush}
   */
  close(): Promise<void>;
}
