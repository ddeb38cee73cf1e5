/** The page's handle of an image open in the worker. */
// biome-ignore-all lint/suspicious/noUnsafeDeclarationMerging: defineVerbs defines every method of the interface
import type {
  BitmapInfo,
  Disk,
  ImageInfo,
  ReadOptions,
  SalvageOptions,
  SnapshotInfo,
  SnapshotReference,
  Transfer,
  WritableOptions,
} from 'qcow2';
import { lengthOf, requireInside, requireOptions, requireReference, startIn, writableOf } from 'qcow2/internal';
import { makeDisposable } from './disposable.js';
import { ImageChannel, type ImageTarget } from './image-channel.js';
import { ImageTransfers } from './image-transfers.js';
import { defineVerbs, type VerbMethods } from './image-verbs.js';
import type { WriteOptions } from './outgoing-bytes.js';
import { requireExport, requireTarget } from './store-arguments.js';
import { type TemporaryExport, temporaryExportOf } from './temporary-export.js';
import { wireExport } from './wire-reports.js';

/** Options of an export into a file. */
export interface ExportFileOptions extends SalvageOptions {
  /** The bytes as the guest sees them; the only format so far. */
  format: 'raw';
  /** The file to write: from `showSaveFilePicker`, or in OPFS. */
  to: FileSystemFileHandle;
}

/** Options of a temporary export. */
export interface TemporaryExportOptions extends SalvageOptions {
  /** The bytes as the guest sees them; the only format so far. */
  format: 'raw';
}

/** The methods of an image that only send a call: `protocol/verbs.ts` has a row for each. */
export interface WorkerImage extends VerbMethods {}

/**
 * An image open in the store's worker. Every method rejects with {@link Qcow2Error} `closed` after `close` of the image
 * or its store, and `failed` once the worker is dead. Errors of the engine keep their class, code and details.
 */
export class WorkerImage implements Disk {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #channel: ImageChannel;
  readonly #transfers: ImageTransfers;

  static {
    makeDisposable(WorkerImage.prototype);
    defineVerbs(WorkerImage.prototype, (image) => image.#channel);
  }

  /** @internal Images are made by the store. */
  constructor(target: ImageTarget, info: ImageInfo) {
    this.#channel = new ImageChannel(target, info);
    this.#transfers = new ImageTransfers(this.#channel);
  }

  /** Virtual size, bytes. */
  get size(): number {
    return this.info.virtualSize;
  }

  /**
   * Information that needs no tables to be read; as of `open` and the last settled change of this handle. So `fileSize`
   * is that of the last change that the page was told of: an automatic compaction makes the file shorter without
   * telling it. `stats` and `usage` ask the worker and are exact.
   */
  get info(): ImageInfo {
    return this.#channel.info;
  }

  /** The image's internal snapshots. */
  get snapshots(): readonly SnapshotInfo[] {
    return this.info.snapshots;
  }

  /** The image's persistent dirty bitmaps. */
  get bitmaps(): readonly BitmapInfo[] {
    return this.info.bitmaps;
  }

  /**
   * Fills `into` with guest bytes from `offset`. The buffer stays the caller's: it is never detached. The worker writes
   * to a view of a SharedArrayBuffer directly. More than 32 MiB take several messages.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `reference-refused`, `corrupt`, `io`; TypeError when a buffer is not a
   *   Uint8Array, or is detached or shrunk before the response: the others of a batch are filled then; the signal's
   *   reason when it aborts
   */
  read(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void>;
  /** Reads `length` guest bytes from `offset` into new memory; else as the other form. */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;
  read(offset: number, what: Uint8Array | number, options?: ReadOptions): Promise<unknown> {
    return typeof what === 'number' ? this.#readNew(offset, what, options) : this.#readInto(offset, what, options);
  }

  async #readInto(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void> {
    this.#channel.requireOpen();
    requireOptions(options);
    requireInside(offset, lengthOf(into), this.size);
    return this.#transfers.read([{ at: offset, bytes: into }], options?.signal);
  }

  async #readNew(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    this.#channel.requireOpen();
    requireInside(offset, length, this.size);
    const into = new Uint8Array(length);
    await this.#readInto(offset, into, options);
    return into;
  }

  /** Fills every buffer with guest bytes from its offset, 32 MiB in each message; else as {@link read}. */
  async readBatch(transfers: readonly Transfer[], options?: ReadOptions): Promise<void> {
    this.#channel.requireOpen();
    requireOptions(options);
    return this.#transfers.read(transfers, options?.signal);
  }

  /**
   * Writes guest bytes from `offset`. They can be read back immediately, and are durable when the next `flush` has
   * resolved. Reads and writes of one image are carried out in call order. The bytes are copied before this returns
   * unless `transfer` is set. The worker reads shared memory directly: it must not change until the promise settles.
   * More than 32 MiB take several messages, in order, and must not change either, unless transferred. When a message
   * fails, those before it have been written, the one after it may have been, and no other has.
   *
   * @throws {@link Qcow2Error} `read-only` unless the image was opened for writing, `no-space` when the quota is used
   *   up, `out-of-range` before any part is sent, `corrupt`, `unsupported`, `reference-refused`, `io`, and `failed`
   *   after an earlier failure: flushed bytes are there when the image is opened again; RangeError for an invalid
   *   offset; TypeError if it is not a Uint8Array, if its memory was detached or shrunk, and, with `transfer`, if its
   *   memory cannot be transferred
   *
   * @example
   * ```ts
   * await image.write(0, bytes, { transfer: true }); // `bytes` is detached from here on
   * await image.flush();
   * ```
   */
  async write(offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    this.#channel.requireOpen();
    requireInside(offset, lengthOf(bytes), this.size);
    return this.writeBatch([{ at: offset, bytes }], options);
  }

  /**
   * Writes all bytes to their offsets, 32 MiB in each message, in order; else as {@link write}. When a piece fails, the
   * others may have been written.
   */
  async writeBatch(transfers: readonly Transfer[], options: WriteOptions = {}): Promise<void> {
    this.#channel.requireOpen();
    requireOptions(options, { transfer: 'a boolean' });
    const written = this.#transfers.write(transfers, options);
    this.#channel.changing();
    return written;
  }

  /**
   * A stream that writes guest bytes from `start` (default 0). It accepts chunks of any size, sends whole clusters,
   * applies backpressure, and flushes when it is closed. It errors as {@link write} does.
   *
   * @throws {@link Qcow2Error} `out-of-range`; RangeError for a start that is not a non-negative integer
   */
  writable(options?: WritableOptions): WritableStream<Uint8Array> {
    this.#channel.requireOpen();
    return writableOf(this, startIn(options, this.size));
  }

  /**
   * Opens the disk of an internal snapshot for reading, streaming or export. It has the snapshot's size.
   * Closing the view leaves this image open; closing this image closes the view.
   *
   * @throws {@link Qcow2Error} `not-found`, `ambiguous`, `corrupt` or `unsupported` with the snapshot in `details`,
   *   `io`
   */
  async openSnapshot(which: SnapshotReference): Promise<WorkerImage> {
    this.#channel.requireOpen();
    requireReference(which, undefined);
    const { target } = this.#channel;
    const id = target.connection.reserve();
    const info = await this.#channel.call((worker, call) => worker.openSnapshot(call, target.id, which), {}, id);
    return new WorkerImage({ ...target, id }, info);
  }

  /**
   * Writes the guest bytes into a file from the worker, skipping holes. An abort or failure leaves no partial file: a
   * file on the user's disk keeps its old content, a file in OPFS is left empty. Resolves when the file is complete.
   * With `salvage` what cannot be read is a hole, and `onLost` is called with it.
   *
   * @throws {@link Qcow2Error} `no-space` with `needed` and `available` in bytes, `locked` when the file is in use;
   *   TypeError when it is an image of the store; the signal's reason, once the file has been cleaned up, when it
   *   aborts
   *
   * @example
   * ```ts
   * await image.export({ format: 'raw', to: handle, onProgress: ({ done, total }) => console.log(done / total) });
   * await image.export({
   *   format: 'raw',
   *   to: handle,
   *   salvage: true,
   *   onLost: ({ start, length, message }) => console.log(`${length} bytes at ${start} are lost: ${message}`),
   * });
   * ```
   */
  async export(options: ExportFileOptions): Promise<void> {
    requireExport(options, ['raw']);
    const { to, signal, onProgress, onLost } = options;
    requireTarget(to);
    const { id } = this.#channel.target;
    const wire = wireExport(options);
    await this.#channel.call((worker, call) => worker.export(call, id, to, wire), { signal, onProgress, onLost });
  }

  /**
   * Writes the guest bytes into a temporary file in OPFS, for a download by an object URL. Also deletes temporary files
   * that a crash left. With `salvage` as {@link export}.
   *
   * @throws {@link Qcow2Error} `no-space` with `needed` and `available` in bytes, before anything is written where the
   *   quota does not suffice; `unavailable` where the platform refuses OPFS; the signal's reason when it aborts
   */
  async temporaryExport(options: TemporaryExportOptions): Promise<TemporaryExport> {
    requireExport(options, ['raw']);
    const { signal, onProgress, onLost } = options;
    const { connection, id: image } = this.#channel.target;
    const id = connection.reserve();
    const wire = wireExport(options);
    const file = await this.#channel.call(
      (worker) => worker.temporaryExport(id, image, wire),
      { signal, onProgress, onLost },
      id,
    );
    return temporaryExportOf(connection, id, file);
  }

  /**
   * Flushes, then releases the image and every file that opening it opened, also when it rejects. A second call waits
   * for the first. Pending calls are awaited. If one read of a file behind the image takes longer than a second
   * meanwhile, all requests that still need such a file, and the unsent part of a large write, reject with `closed`.
   *
   * @throws {@link Qcow2Error} the error of the first failed write or flush, unless `flush` has rejected because of it:
   *   writes since the last flush may be lost; `failed` when the worker died before a change was flushed
   */
  close(): Promise<void> {
    return this.#channel.close();
  }
}
