/** Owns WorkerImage, the page's handle of an image that is open in the worker. */
import {
  type BitmapInfo,
  type CheckOptions,
  type CheckReport,
  type Disk,
  type Extent,
  type ImageInfo,
  type ImageStats,
  isQcow2Error,
  type OperationOptions,
  Qcow2Error,
  type Range,
  type ReadOptions,
  type SnapshotInfo,
  type Transfer,
} from 'qcow2';
import { boundsOf, writableOf } from 'qcow2/internal';
import type { BufferPool } from '../protocol/buffer-pool.js';
import type { Answer, Changed, ImageState, WireRangeChange } from '../protocol/messages.js';
import { unpackExtents } from '../protocol/packed-extents.js';
import { unpackRanges } from '../protocol/packed-ranges.js';
import type { CallOptions, Connection, RemoteWorker } from './connection.js';
import { itemsOf } from './cursor-iterator.js';
import { makeDisposable } from './disposable.js';
import { guestStream } from './guest-stream.js';
import { ImageTransfers } from './image-transfers.js';
import type { WriteOptions } from './outgoing-bytes.js';
import { RemoteCursor } from './remote-cursor.js';
import { SendOrder } from './send-order.js';
import { type Spool, spoolOf } from './temporary-export.js';

/**
 * How long closing waits, while no message is answered, for what was asked for before and waits to be sent: a web
 * server behind the image may not answer. Milliseconds.
 */
const SEND_TIMEOUT_MS = 1000;

/** What an export into a file takes. */
export interface ExportFileOptions extends OperationOptions {
  /** The bytes as the guest sees them; the only format so far. */
  format: 'raw';
  /** The file to fill: one that a person chose with `showSaveFilePicker`, or one in OPFS. */
  to: FileSystemFileHandle;
}

/** What a spool takes. */
export interface SpoolOptions extends OperationOptions {
  /** The bytes as the guest sees them; the only format so far. */
  format: 'raw';
}

/**
 * An image that is open in the store's worker. Every method rejects with {@link Qcow2Error} `closed` after `close` of
 * the image or its store, and `failed` once the worker is dead; errors of the engine arrive with their class, code and
 * details.
 */
export class WorkerImage implements Disk {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #connection: Connection;
  readonly #id: number;
  readonly #pool: BufferPool;
  #state: ImageState;
  readonly #order = new SendOrder();
  readonly #ending = new AbortController();
  readonly #transfers: ImageTransfers;
  readonly #stored: boolean;
  /** Something may have been changed since the last flush: it is lost when the worker dies. */
  #unflushed = false;
  #closing: Promise<void> | null = null;

  static {
    makeDisposable(WorkerImage.prototype);
  }

  /** @internal Images come from the store. `stored`: its file is one of the store, and not of a web server. */
  constructor(connection: Connection, id: number, pool: BufferPool, state: ImageState, stored: boolean) {
    this.#stored = stored;
    this.#connection = connection;
    this.#id = id;
    this.#pool = pool;
    this.#state = state;
    const changed = (change: Changed): void => this.#heard(change);
    this.#transfers = new ImageTransfers({
      connection,
      id,
      pool,
      order: this.#order,
      ending: this.#ending.signal,
      changed,
    });
  }

  /** Virtual size, bytes. */
  get size(): number {
    return this.#state.size;
  }

  /**
   * What is known of the image without reading its tables; as of `open` and the last change of this handle that was
   * answered.
   */
  get info(): ImageInfo {
    return this.#state.info;
  }

  /** The image's internal snapshots. */
  get snapshots(): readonly SnapshotInfo[] {
    return this.#state.snapshots;
  }

  /** The image's persistent dirty bitmaps. */
  get bitmaps(): readonly BitmapInfo[] {
    return this.#state.bitmaps;
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
    this.#requireOpen();
    boundsOf({ start: offset, length }, this.size);
    const into = new Uint8Array(length);
    await this.readBatch([{ at: offset, bytes: into }], options);
    return into;
  }

  /**
   * Fills every buffer with the guest's bytes from its offset, 32 MiB in each trip to the worker; else as {@link read}.
   */
  async readBatch(transfers: readonly Transfer[], options: ReadOptions = {}): Promise<void> {
    this.#requireOpen();
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
    this.#requireOpen();
    const written = this.#transfers.write(transfers, options);
    this.#unflushed = true;
    return written;
  }

  /** Turns guest bytes into zeros; `unmap` gives up the clusters that held them. Throws as {@link write} does. */
  writeZeroes(offset: number, length: number, options?: { unmap?: boolean | undefined }): Promise<void> {
    return this.#change({ kind: options?.unmap ? 'unmap' : 'zeroes', offset, length });
  }

  /**
   * Gives up guest bytes, and the clusters that held them. They read as zeros from then on; only in an image of version
   * 2 with a backing file nothing happens. Throws as {@link write} does.
   */
  discard(offset: number, length: number): Promise<void> {
    return this.#change({ kind: 'discard', offset, length });
  }

  /**
   * Resolves when everything that was written, zeroed and discarded is on the medium. An image that is only read has
   * nothing to bring there.
   *
   * @throws {@link Qcow2Error} `failed`, `no-space`, `io`
   */
  async flush(): Promise<void> {
    // Whether it resolves or rejects, closing has nothing to report of what came before it.
    this.#unflushed = false;
    this.#heard(await this.#call((worker, call) => worker.flush(call, this.#id)));
  }

  /**
   * A stream to write guest bytes to, from `start` on (0 unless it is said). It takes chunks of any size, sends whole
   * clusters, takes no more than it can send, and flushes when it is closed. It errors as {@link write} does.
   *
   * @throws {@link Qcow2Error} `out-of-range`; RangeError for a start that is no whole number from 0 on
   */
  writable(options?: { start?: number | undefined }): WritableStream<Uint8Array> {
    this.#requireOpen();
    const { start } = boundsOf({ start: options?.start ?? 0, length: 0 }, this.size);
    return writableOf(this, start);
  }

  /**
   * Where every byte of the range comes from, in order, neighbours of one kind merged. Leaving the loop early frees the
   * worker's side of it.
   *
   * @throws {@link Qcow2Error} `out-of-range`, `corrupt`, `io`; the signal's reason when it aborts
   *
   * @example
   * ```ts
   * for await (const { start, length, data } of image.map()) {
   *   if (data) console.log(`${length} bytes are stored from ${start} on`);
   * }
   * ```
   */
  map(range?: Range, options?: OperationOptions): AsyncIterableIterator<Extent> {
    const reports = options?.onProgress !== undefined;
    const cursor = this.#cursor<Float64Array<ArrayBuffer>>(
      (worker, id) => worker.map(id, this.#id, range ?? null, reports),
      options,
    );
    return itemsOf(cursor, unpackExtents);
  }

  /**
   * The disk of an internal snapshot, to read, stream, export or spool; of the size it had. An id is looked for first,
   * then a name. Closing the view leaves this image open; closing this image ends the view.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` or `unsupported` with the snapshot in `details`, `io`
   */
  async openSnapshot(idOrName: string): Promise<WorkerImage> {
    const id = this.#connection.reserve();
    const state = await this.#call((worker, call) => worker.openSnapshot(call, this.#id, idOrName), {}, id);
    return new WorkerImage(this.#connection, id, this.#pool, state, this.#stored);
  }

  /**
   * The ranges of the disk that a persistent bitmap marks, in order, neighbours merged. Leaving the loop early frees
   * the worker's side of it.
   *
   * @throws {@link Qcow2Error} `not-found`, `corrupt` when the bitmap is damaged or was in use when the image was last
   *   written, `unsupported`, `io`; the signal's reason when it aborts
   */
  dirtyRanges(bitmap: string, options?: OperationOptions): AsyncIterableIterator<Range> {
    const reports = options?.onProgress !== undefined;
    const cursor = this.#cursor<Float64Array<ArrayBuffer>>(
      (worker, id) => worker.dirtyRanges(id, this.#id, bitmap, reports),
      options,
    );
    return itemsOf(cursor, unpackRanges);
  }

  /** The first offset from `offset` on that may hold data, in bytes; undefined when there is none. */
  seekData(offset: number): Promise<number | undefined> {
    return this.#call((worker, call) => worker.seek(call, this.#id, offset, 'data'));
  }

  /** The first offset from `offset` on that certainly reads as zeros, in bytes; undefined when there is none. */
  seekHole(offset: number): Promise<number | undefined> {
    return this.#call((worker, call) => worker.seek(call, this.#id, offset, 'hole'));
  }

  /**
   * Counts every reference to every cluster of the image, and compares them with its refcounts. Damage is a finding,
   * never an error. An image that is open for writing is flushed first. Changes wait until the check ends, and so do
   * reads that come after a change that waits.
   *
   * @throws {@link Qcow2Error} `io`, `closed` when the image is closed meanwhile, and what `flush` throws; the signal's
   *   reason when it aborts
   */
  check(options: CheckOptions = {}): Promise<CheckReport> {
    const { signal, onProgress } = options;
    return this.#call((worker, call) => worker.check(call, this.#id, onProgress !== undefined), { signal, onProgress });
  }

  /**
   * The guest's bytes as a stream, a byte stream where the platform has them. It reads one chunk ahead; cancelling it
   * frees the worker's side of it.
   *
   * @throws at once, RangeError for a range that is none and {@link Qcow2Error} `out-of-range`; the rest comes from the
   *   stream
   */
  readable(range?: Range, options?: OperationOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
    boundsOf(range, this.size);
    const reports = options?.onProgress !== undefined;
    return guestStream(this.#cursor((worker, id) => worker.stream(id, this.#id, range ?? null, reports), options));
  }

  /** How the engine has been used since the image was opened. */
  stats(): Promise<ImageStats> {
    return this.#call((worker, call) => worker.stats(call, this.#id));
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
    await this.#call((worker, call) => worker.export(call, this.#id, to, onProgress !== undefined), {
      signal,
      onProgress,
    });
  }

  /**
   * Writes the guest's bytes into a temporary file in OPFS, for a download by an object URL. Spools that a crash left
   * behind are deleted on the way.
   *
   * @throws {@link Qcow2Error} `no-space` with `needed` and `available` in bytes, before anything is written where the
   *   quota does not suffice; `unavailable` where the platform refuses OPFS; the signal's reason when it aborts
   */
  async spool(options: SpoolOptions): Promise<Spool> {
    const { format, signal, onProgress } = options;
    requireRaw(format);
    const id = this.#connection.reserve();
    const file = await this.#call(
      (worker) => worker.spool(id, this.#id, onProgress !== undefined),
      { signal, onProgress },
      id,
    );
    return spoolOf(this.#connection, id, file);
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
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#ending.abort();
    const { backingFile, dataFile } = this.info;
    const alone = backingFile === undefined && dataFile === undefined;
    // Files of this origin end what they are asked for.
    await this.#order.end(this.#stored && alone ? null : SEND_TIMEOUT_MS);
    // A worker that is gone holds nothing any more, but what was not flushed went with it.
    const { alive } = this.#connection;
    try {
      if (alive || this.#unflushed) await this.#connection.call((worker) => worker.close(this.#id));
    } catch (error) {
      // The store was closed, and flushed this image.
      if (alive || !isQcow2Error(error, 'closed')) throw error;
    } finally {
      this.#connection.forget(this.#id);
    }
  }

  async #change(change: WireRangeChange): Promise<void> {
    this.#unflushed = true;
    this.#heard(await this.#call((worker, call) => worker.change(call, this.#id, change)));
  }

  /** Keeps what the worker says of the image after a change. */
  #heard({ state, fileSize }: Changed): void {
    const { info } = this.#state;
    if (state) this.#state = state;
    else if (fileSize !== info.fileSize) this.#state = { ...this.#state, info: { ...info, fileSize } };
  }

  #cursor<Page extends Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(
    open: (worker: RemoteWorker, id: number) => Answer<void>,
    options: OperationOptions | undefined,
  ): RemoteCursor<Page | null> {
    return new RemoteCursor<Page | null>(
      this.#connection,
      (id, call) => this.#call((worker) => open(worker, id), call, id),
      options,
    );
  }

  async #call<T>(
    send: (worker: RemoteWorker, call: number) => Answer<T>,
    options?: CallOptions,
    id?: number,
  ): Promise<T> {
    this.#requireOpen();
    return this.#order.run(() => this.#connection.call(send, options, id), options?.signal);
  }

  #requireOpen(): void {
    if (this.#closing && this.#connection.alive) throw new Qcow2Error('closed', 'The image was closed.');
  }
}

function requireRaw(format: unknown): void {
  if (format !== 'raw') throw new TypeError(`The only format so far is 'raw', not ${JSON.stringify(format)}.`);
}
