/** The page's handle of an image that is open in the worker. */
// biome-ignore-all lint/suspicious/noUnsafeDeclarationMerging: defineVerbs defines every method of the interface
import type {
  BitmapInfo,
  Disk,
  ImageInfo,
  OperationOptions,
  ReadOptions,
  SnapshotInfo,
  Transfer,
  WritableOptions,
} from 'qcow2';
import { boundsOf, writableOf } from 'qcow2/internal';
import { makeDisposable } from './disposable.js';
import { ImageChannel, type ImagePlace } from './image-channel.js';
import { ImageTransfers } from './image-transfers.js';
import { defineVerbs, type VerbMethods } from './image-verbs.js';
import type { WriteOptions } from './outgoing-bytes.js';
import { type TemporaryExport, temporaryExportOf } from './temporary-export.js';

/** What an export into a file takes. */
export interface ExportFileOptions extends OperationOptions {
  /** The bytes as the guest sees them; the only format so far. */
  format: 'raw';
  /** The file to fill: one that a person chose with `showSaveFilePicker`, or one in OPFS. */
  to: FileSystemFileHandle;
}

/** What a temporary export takes. */
export interface TemporaryExportOptions extends OperationOptions {
  /** The bytes as the guest sees them; the only format so far. */
  format: 'raw';
}

/** The methods of an image that only send a call: `protocol/verbs.ts` has a row for each. */
export interface WorkerImage extends VerbMethods {}

/**
 * An image that is open in the store's worker. Every method rejects with {@link Qcow2Error} `closed` after `close` of
 * the image or its store, and `failed` once the worker is dead; errors of the engine arrive with their class, code and
 * details.
 */
export class WorkerImage implements Disk {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #channel: ImageChannel;
  readonly #transfers: ImageTransfers;

  static {
    makeDisposable(WorkerImage.prototype);
    defineVerbs(WorkerImage.prototype, (image) => image.#channel);
  }

  /** @internal Images come from the store. */
  constructor(place: ImagePlace, info: ImageInfo) {
    this.#channel = new ImageChannel(place, info);
    this.#transfers = new ImageTransfers(this.#channel);
  }

  /** Virtual size, bytes. */
  get size(): number {
    return this.info.virtualSize;
  }

  /**
   * What is known of the image without reading its tables; as of `open` and the last change of this handle that
   * has settled.
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
   * Fills `into` with the guest's bytes from `offset`. The buffer stays the caller's: it is never detached. A view of a
   * SharedArrayBuffer is filled by the worker itself. More than 32 MiB come in several messages.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `reference-refused`, `corrupt`, `io`; TypeError when a buffer is no
   *   Uint8Array, or loses its memory (detached, shrunk) before the answer: the others of a batch are filled then; the
   *   signal's reason when it aborts
   */
  read(offset: number, into: Uint8Array, options?: ReadOptions): Promise<void>;
  /** Reads `length` of the guest's bytes from `offset` on, into memory of their own; else as the other form. */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;
  read(offset: number, what: Uint8Array | number, options?: ReadOptions): Promise<unknown> {
    if (typeof what === 'number') return this.#readNew(offset, what, options);
    return this.readBatch([{ at: offset, bytes: what }], options);
  }

  async #readNew(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    this.#channel.requireOpen();
    boundsOf({ start: offset, length }, this.size);
    const into = new Uint8Array(length);
    await this.readBatch([{ at: offset, bytes: into }], options);
    return into;
  }

  /**
   * Fills every buffer with the guest's bytes from its offset, 32 MiB in each trip to the worker; else as {@link read}.
   */
  async readBatch(transfers: readonly Transfer[], options: ReadOptions = {}): Promise<void> {
    this.#channel.requireOpen();
    return this.#transfers.read(transfers, options.signal);
  }

  /**
   * Writes guest bytes from `offset` on. What is written is read back at once; it is on the medium, whatever happens,
   * when the next `flush` has resolved. Reads and writes of one image are carried out in the order of the calls. The
   * bytes are copied before this returns unless `transfer` hands them over; those in shared memory are read by the
   * worker itself, and must stay as they are until the promise settles. More than 32 MiB go in several messages, in
   * order, and must stay as they are, too, unless they are handed over. When one message fails, those before it have
   * been written, the one behind it may have been, and no other has.
   *
   * @throws {@link Qcow2Error} `read-only` unless the image was opened for writing, `no-space` when the quota is spent,
   *   `out-of-range`, `corrupt`, `unsupported`, `reference-refused`, `io`, and `failed` after an earlier failure: what
   *   was flushed is there when the image is opened again; RangeError for an offset that is none; TypeError for no
   *   Uint8Array, for one whose memory was taken away (detached, shrunk), and, with `transfer`, for memory that cannot
   *   be handed over
   *
   * @example
   * ```ts
   * await image.write(0, bytes, { transfer: true }); // `bytes` is detached from here on
   * await image.flush();
   * ```
   */
  write(offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.writeBatch([{ at: offset, bytes }], options);
  }

  /**
   * Writes all bytes to their offsets, 32 MiB in each trip to the worker, in order; else as {@link write}. When a piece
   * fails, the others may have been written.
   */
  async writeBatch(transfers: readonly Transfer[], options: WriteOptions = {}): Promise<void> {
    this.#channel.requireOpen();
    const written = this.#transfers.write(transfers, options);
    this.#channel.setUnflushed(true);
    return written;
  }

  /**
   * A stream to write guest bytes to, from `start` on (0 unless it is said). It takes chunks of any size, sends whole
   * clusters, takes no more than it can send, and flushes when it is closed. It errors as {@link write} does.
   *
   * @throws {@link Qcow2Error} `out-of-range`; RangeError for a start that is no whole number from 0 on
   */
  writable(options?: WritableOptions): WritableStream<Uint8Array> {
    this.#channel.requireOpen();
    const { start } = boundsOf({ start: options?.start ?? 0, length: 0 }, this.size);
    return writableOf(this, start);
  }

  /**
   * The disk of an internal snapshot, to read, stream or export; of the size it had. An id is looked for first,
   * then a name. Closing the view leaves this image open; closing this image ends the view.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` or `unsupported` with the snapshot in `details`, `io`
   */
  async openSnapshot(idOrName: string): Promise<WorkerImage> {
    const { place } = this.#channel;
    const id = place.connection.reserve();
    const info = await this.#channel.call((worker, call) => worker.openSnapshot(call, place.id, idOrName), {}, id);
    return new WorkerImage({ ...place, id }, info);
  }

  /**
   * Writes the guest's bytes into a file from the worker, holes skipped. On an abort or a failure nothing half-written
   * is left: a file of a person's keeps what it had, a file in OPFS is left empty. Resolves when the file is complete.
   *
   * @throws {@link Qcow2Error} `no-space` with `needed` and `available` in bytes, `locked` when the file is in use;
   *   TypeError when it is an image of the store; the signal's reason, once the file has been cleaned up, when it
   *   aborts
   *
   * @example
   * ```ts
   * await image.export({ format: 'raw', to: handle, onProgress: ({ done, total }) => console.log(done / total) });
   * ```
   */
  async export(options: ExportFileOptions): Promise<void> {
    const { format, to, signal, onProgress } = options;
    requireRaw(format);
    if (to?.kind !== 'file') throw new TypeError('export() needs a FileSystemFileHandle in `to`.');
    const { id } = this.#channel.place;
    const reports = onProgress !== undefined;
    await this.#channel.call((worker, call) => worker.export(call, id, to, reports), { signal, onProgress });
  }

  /**
   * Writes the guest's bytes into a temporary file in OPFS, for a download by an object URL. Temporary files
   * that a crash left behind are deleted on the way.
   *
   * @throws {@link Qcow2Error} `no-space` with `needed` and `available` in bytes, before anything is written where the
   *   quota does not suffice; `unavailable` where the platform refuses OPFS; the signal's reason when it aborts
   */
  async temporaryExport(options: TemporaryExportOptions): Promise<TemporaryExport> {
    const { format, signal, onProgress } = options;
    requireRaw(format);
    const { connection, id: image } = this.#channel.place;
    const id = connection.reserve();
    const reports = onProgress !== undefined;
    const file = await this.#channel.call(
      (worker) => worker.temporaryExport(id, image, reports),
      { signal, onProgress },
      id,
    );
    return temporaryExportOf(connection, id, file);
  }

  /**
   * Flushes, then releases the image and every file that opening it opened, also when it rejects. A second call waits
   * for the first. What was started is waited for. Only when one read of a file behind the image takes longer than a
   * second meanwhile, all requests that still need such a file reject with `closed`, and so does what of a large write
   * has not been sent by then.
   *
   * @throws {@link Qcow2Error} what the first write or flush that failed threw, unless `flush` has rejected because of
   *   it: what was written since the last flush may be lost; `failed` when the worker died before something that was
   *   changed was flushed
   */
  close(): Promise<void> {
    return this.#channel.close();
  }
}

function requireRaw(format: unknown): void {
  if (format !== 'raw') throw new TypeError(`The only format so far is 'raw', not ${JSON.stringify(format)}.`);
}
