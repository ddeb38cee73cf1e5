/** Owns the public handle of an open image: short methods that check their arguments and delegate. */

import type { CheckOptions, CheckReport } from './api/check-report.js';
import type { BlockDevice, Done } from './api/device.js';
import type { Disk } from './api/disk.js';
import type { BitmapInfo, ImageInfo, ImageStats, SnapshotInfo } from './api/info.js';
import type { Openable } from './api/openable.js';
import type { CreateOptions, OpenOptions, OperationOptions } from './api/options.js';
import type { Extent, Range } from './api/range.js';
import { lengthOf, whileIntact } from './engine/async/request-buffers.js';
import { mustWait } from './engine/layer/wait-tracker.js';
import { boundsOf, requireInside } from './engine/mapping/guest-range.js';
import { readPieces } from './engine/read/execute.js';
import type { Writer } from './engine/write/writer.js';
import { Qcow2Error } from './errors.js';
import { BatchIterator } from './verbs/batch-iterator.js';
import { imageInfo } from './verbs/info.js';
import { closeAll, type OpenedImage, openImage, type Synchronous } from './verbs/open/open.js';
import { readableOf } from './verbs/readable.js';

/** What a read that never had to wait answers. */
const DONE: Promise<void> = Promise.resolve();

/** An open qcow2 image. */
export class Qcow2Image implements Disk {
  /** Virtual size, bytes. */
  readonly size: number;
  /** Closes the image, for `await using`; there only where the platform knows the symbol. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #opened: OpenedImage;
  /** The image of which this is a snapshot, when it is one. */
  readonly #viewed: Qcow2Image | null;
  #info: ImageInfo | null = null;
  #closing: Promise<void> | null = null;

  static {
    // Not a method: where the symbol is missing, the method would be named "undefined".
    if (Symbol.asyncDispose !== undefined) {
      const value = function (this: Qcow2Image) {
        return this.close();
      };
      Object.defineProperty(Qcow2Image.prototype, Symbol.asyncDispose, { value });
    }
  }

  private constructor(opened: OpenedImage, viewed: Qcow2Image | null = null) {
    this.#opened = opened;
    this.#viewed = viewed;
    this.size = opened.layer.size;
  }

  /**
   * Opens an image, for reading unless `options.mode` says otherwise. Reads the header, the L1 table and, where there
   * are any, the snapshot table and the bitmap directory; for writing, all L2 tables and refcounts as well, unless
   * `options.verify` is false. Never writes: an image changes with its first change.
   *
   * @throws {@link Qcow2Error} `not-qcow2`, `unsupported` or `corrupt` with the place in `details`, `corrupt` also when
   *   two files of the chain are one and the same, and when a check of an image to be written finds damage,
   *   `needs-repair` when it is to be written and marked dirty or corrupt, `locked` when another image of this process
   *   writes to the file, `changed` or `io` from the source; TypeError when `source` is nothing that can be opened, or
   *   nothing that can be written to; the signal's reason when it aborts.
   */
  static async open(source: Openable, options?: OpenOptions): Promise<Qcow2Image> {
    return new Qcow2Image(await openImage(source, options));
  }

  /**
   * Makes an empty image on `device`, over whatever it holds, and opens it for writing. Everything but the header is
   * written and flushed first, so that a crash leaves no image rather than half of one. The device stays the caller's.
   *
   * @throws RangeError for a value that no image can have, TypeError for options that exclude each other; {@link
   *   Qcow2Error} `reference-refused` when `resolve` does not hand over the data file as a device, `corrupt` when the
   *   device, the data file and the backing file are not different files, `locked` when another image of this process
   *   writes to one of them; all these before anything is changed. What the device throws; the signal's reason when it
   *   aborts.
   */
  static async create(
    device: BlockDevice,
    options: CreateOptions & Pick<OpenOptions, 'resolve' | 'cache'>,
  ): Promise<Qcow2Image> {
    const { createImage } = await import('./verbs/create/create.js');
    return createImage(device, options, (opening) => Qcow2Image.open(device, opening));
  }

  /**
   * Everything the image says of itself; plain and structured-cloneable. While the image is written it is as of now.
   */
  get info(): ImageInfo {
    const { layer, write } = this.#opened;
    if (write !== null) return write.info();
    this.#info ??= imageInfo(layer);
    return this.#info;
  }

  /** The internal snapshots, in the order of the table. */
  get snapshots(): readonly SnapshotInfo[] {
    return this.info.snapshots;
  }

  /** The persistent bitmaps; none when the image says that they are not to be trusted. */
  get bitmaps(): readonly BitmapInfo[] {
    return this.info.bitmaps;
  }

  /** Device calls and other figures since the image was opened. */
  get stats(): ImageStats {
    return { ...this.#opened.counters };
  }

  /**
   * Fills `into` with the guest's bytes from `offset` on.
   *
   * @throws {@link Qcow2Error} `out-of-range` past the end of the disk, `reference-refused` when a file that was not
   *   handed over is needed, `corrupt`, `unsupported`, `closed`, and what the source throws; RangeError for an offset
   *   that is no whole number from 0 on; TypeError when `into` is no Uint8Array, or loses its memory (detached, shrunk)
   *   before the read has ended; the signal's reason when it aborts.
   */
  read(offset: number, into: Uint8Array, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    try {
      this.#alive();
      options?.signal?.throwIfAborted();
      const length = lengthOf(into);
      requireInside(offset, length, this.size);
      const done = readPieces(this.#opened.layer, [{ offset, into }], options?.signal);
      return whileIntact(done, into, length, options?.signal) ?? DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Where every byte of the range comes from, as `qemu-img map` says it: in order, without gaps, neighbours merged.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `corrupt`, `closed`, and what the source throws; RangeError for a range
   *   that is none; the signal's reason when it aborts.
   */
  map(range?: Range, options?: OperationOptions): AsyncIterableIterator<Extent, undefined, undefined> {
    return new BatchIterator(async () => {
      this.#alive();
      const { start, end } = boundsOf(range, this.size);
      const { mapBatches } = await import('./verbs/map.js');
      return mapBatches(this.#opened.layer, start, end, () => this.#alive(), options);
    });
  }

  /**
   * The first offset from `offset` on that may hold data; null when there is none.
   *
   * @throws as {@link map} does.
   */
  seekData(offset: number): Promise<number | null> {
    return this.#seek(offset, false);
  }

  /**
   * The first offset from `offset` on that certainly reads as zeros; null when there is none.
   *
   * @throws as {@link map} does.
   */
  seekHole(offset: number): Promise<number | null> {
    return this.#seek(offset, true);
  }

  async #seek(offset: number, zero: boolean): Promise<number | null> {
    this.#alive();
    requireInside(offset, 0, this.size);
    const { seek } = await import('./verbs/seek.js');
    return seek(this.#opened.layer, offset, zero, () => this.#alive());
  }

  /**
   * Counts every reference to every cluster of the image's own file, and compares them with its refcounts, as
   * `qemu-img check` does. Reads the file anew. An image that is open for writing is flushed first. Changes wait until
   * the check ends, and so do reads that come after a change that waits; `writeSync` throws `not-synchronous`. Damage
   * is a finding, never an error.
   *
   * @throws {@link Qcow2Error} `closed`, also when the image is closed meanwhile, and what `flush` and the source
   *   throw; the signal's reason when it aborts.
   */
  async check(options?: CheckOptions): Promise<CheckReport> {
    this.#alive();
    const { checkImage } = await import('./verbs/check/check.js');
    this.#alive();
    return checkImage((this.#viewed ?? this).#opened, options);
  }

  /**
   * The guest's bytes as a stream: a byte stream where the platform has them. Errors as {@link read} does.
   *
   * @throws {@link Qcow2Error} `out-of-range` or `closed`; RangeError for a range that is none.
   */
  readable(range?: Range, options?: OperationOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#alive();
    const { start, end } = boundsOf(range, this.size);
    return readableOf(this.#opened.layer, start, end, () => this.#alive(), options);
  }

  /**
   * The disk of an internal snapshot, to read; of the size that the disk had. An id is looked for first, then a name,
   * as QEMU does. Closing the view leaves this image open; closing this image closes the view.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` or `unsupported` with the snapshot in `details`, `closed`, and
   *   what the source throws.
   */
  async openSnapshot(idOrName: string): Promise<Qcow2Image> {
    this.#alive();
    const { snapshotLayer } = await import('./verbs/open/open-snapshot.js');
    const layer = await snapshotLayer(this.#opened.layer, idOrName);
    this.#alive();
    return new Qcow2Image({ ...this.#opened, layer, write: null, owned: [] }, this);
  }

  /**
   * The ranges of the disk that a persistent bitmap marks: in order, neighbours merged, none past the end of the disk.
   * While the image is written that is as of the first range asked for.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` when the bitmap is damaged or was in use when the image was last
   *   written, `unsupported`, `closed`, and what the source throws; the signal's reason when it aborts.
   */
  dirtyRanges(bitmap: string, options?: OperationOptions): AsyncIterableIterator<Range, undefined, undefined> {
    return new BatchIterator(async () => {
      this.#alive();
      await this.#opened.write?.writer.storeBitmaps();
      const { dirtyBatches } = await import('./verbs/dirty-ranges.js');
      return dirtyBatches(this.#opened.layer, bitmap, () => this.#alive(), options);
    });
  }

  /**
   * Writes guest bytes from `offset` on. What is written is read back at once; it is on the medium, whatever happens,
   * when the next `flush` has returned. A started write finishes. `bytes` must stay as they are until then.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `read-only`, `corrupt`, `unsupported` when the disk is encrypted,
   *   `reference-refused`, `no-space`, `failed` after an earlier failure, `closed`, and what the device throws;
   *   RangeError for an offset that is no whole number from 0 on; TypeError when `bytes` is no Uint8Array, or loses its
   *   memory (detached, shrunk) before the write has ended: of the range any part may have been written then.
   */
  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#change(
      offset,
      () => lengthOf(bytes),
      (writer) => writer.write(offset, bytes),
    );
  }

  /**
   * Turns guest bytes into zeros, by saying so where the format can. `unmap` gives up the clusters that held them.
   *
   * @throws as {@link write} does.
   */
  writeZeroes(offset: number, length: number, options?: { unmap?: boolean | undefined }): Promise<void> {
    return this.#change(
      offset,
      () => length,
      (writer) => writer.zero(offset, length, options?.unmap ?? false),
    );
  }

  /**
   * Gives up guest bytes, and the clusters that held them. They read as zeros from then on; only in an image of version
   * 2 with a backing file nothing happens, since it has no way to say so.
   *
   * @throws as {@link write} does.
   */
  discard(offset: number, length: number): Promise<void> {
    return this.#change(
      offset,
      () => length,
      (writer) => writer.discard(offset, length),
    );
  }

  /**
   * Returns when everything that was written, zeroed and discarded is on the medium. An image opened for reading has
   * nothing to bring there.
   *
   * @throws {@link Qcow2Error} `failed`, `corrupt`, `no-space`, `closed`, and what the device throws.
   */
  async flush(): Promise<void> {
    this.#requireOpen();
    this.#opened.write?.writer.aliveToFlush();
    await this.#opened.write?.writer.flush();
  }

  /**
   * A stream to write guest bytes to, from `start` on (0 unless it is said). It takes chunks of any size, writes whole
   * clusters, takes no more until they are written, and flushes when it is closed.
   *
   * @throws {@link Qcow2Error} `read-only`, `closed`; RangeError for a start that is no whole number from 0 on. The
   *   stream errors as {@link write} does.
   */
  writable(options?: { start?: number | undefined }): WritableStream<Uint8Array> {
    const start = options?.start ?? 0;
    requireInside(start, 0, this.size);
    this.#writer();
    return this.#opened.write!.writableOf(this, start);
  }

  /**
   * As {@link read}, but done when it returns. Over a source that makes its caller wait it is refused, also when
   * `withCache` keeps every block that is needed: whether it works depends on the source, not on what was read before.
   *
   * @throws {@link Qcow2Error} `not-synchronous`, before anything is read, when a layer makes its caller wait or
   *   another request is at work, and as {@link read} does.
   */
  readSync(offset: number, into: Uint8Array): void {
    this.#alive();
    requireInside(offset, lengthOf(into), this.size);
    const { layer } = this.#opened;
    this.#atOnce(
      (forms) => forms.readWaits(layer),
      () => readPieces(layer, [{ offset, into }]),
    );
  }

  /**
   * As {@link write}, but done when it returns.
   *
   * @throws {@link Qcow2Error} `not-synchronous`, before anything is written, when a layer makes its caller wait or
   *   another request is at work, and as {@link write} does.
   */
  writeSync(offset: number, bytes: Uint8Array): void {
    const writer = this.#writer();
    requireInside(offset, lengthOf(bytes), this.size);
    this.#atOnce(
      () => writer.waiting,
      () => writer.write(offset, bytes),
    );
  }

  /**
   * As {@link flush}, but done when it returns.
   *
   * @throws {@link Qcow2Error} `not-synchronous`, before anything is flushed, when a layer makes its caller wait or
   *   another request is at work, and as {@link flush} does.
   */
  flushSync(): void {
    this.#requireOpen();
    const writer = this.#opened.write?.writer;
    if (writer === undefined) return;
    writer.aliveToFlush();
    this.#atOnce(
      () => writer.waiting,
      () => writer.flush(),
    );
  }

  /**
   * Flushes, then releases the image and every file that opening it opened, also when it rejects. A second call waits
   * for the first. What was started is waited for. Only when one read of a file behind the image takes longer than a
   * second meanwhile, all requests that still need such a file reject with `closed`; a read whose source cannot be
   * stopped does when the source ends.
   *
   * @throws what the first write or flush that failed threw, unless `flush` has rejected because of it: what was
   *   written since the last flush may be lost. Otherwise as {@link flush} does.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#opened.write?.writer.close();
    } catch (error) {
      // What may be lost is worth more than whether every file could be released.
      await this.#release().catch(() => {});
      throw error;
    }
    await this.#release();
  }

  #release(): Promise<void> {
    const { write, owned } = this.#opened;
    write?.release();
    return closeAll(owned);
  }

  /** Checks a change of so many bytes, and makes it. */
  #change(offset: number, lengthOfChange: () => number, change: (writer: Writer) => Done): Promise<void> {
    try {
      const writer = this.#writer();
      const length = lengthOfChange();
      requireInside(offset, length, this.size);
      return length === 0 ? DONE : (change(writer) ?? DONE);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #writer(): Writer {
    this.#alive();
    const { write } = this.#opened;
    if (write === null) {
      throw new Qcow2Error(
        'read-only',
        "The image was opened for reading. Open it with mode 'readwrite' to change it.",
      );
    }
    return write.writer;
  }

  /** Carries out a request that is done when this returns, unless there is something to wait for. */
  #atOnce(waiting: (forms: Synchronous) => Qcow2Error | null, work: () => Done): void {
    const { synchronous, waitTracker } = this.#opened;
    const wait = synchronous === null ? mustWait({ what: 'image', depth: 0 }) : waiting(synchronous);
    if (wait !== null) throw wait;
    synchronous!.atOnce(waitTracker, work);
  }

  #alive(): void {
    this.#requireOpen();
    this.#opened.write?.writer.alive();
  }

  #requireOpen(): void {
    if (this.#closing !== null) throw new Qcow2Error('closed', 'The image was closed.');
    if (this.#viewed !== null) this.#viewed.#alive();
  }
}
