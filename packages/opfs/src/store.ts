/** Owns openStore and the store it returns: one worker, the images that it keeps, and the images open in it. */
import type { CreateOptions, OpenOptions, OperationOptions } from 'qcow2';
import { BufferPool } from './buffer-pool.js';
import { type CallOptions, Connection, type RemoteWorker } from './connection.js';
import { makeDisposable } from './disposable.js';
import { guestStream } from './guest-stream.js';
import { imageName } from './image-name.js';
import { OpfsImage } from './opfs-image.js';
import type { Answer, ImageState, WireOpenOptions } from './protocol.js';
import { RemoteCursor } from './remote-cursor.js';
import { makeSpool, type Spool } from './spool.js';
import type { Persistence, StoredImage, StoreEstimate, StoreExportOptions, StoreSpoolOptions } from './stored-image.js';
import { streamPull } from './stream-pull.js';

/** How a store is opened. */
export interface StoreOptions {
  /** The folder of OPFS that holds the images; default `'qcow2'`. Another folder is another store. */
  directory?: string | undefined;
  /**
   * Makes the worker, for pages whose bundler does not find it by itself: a module worker whose script is, or imports,
   * `qcow2-opfs/worker`.
   */
  worker?: (() => Worker) | undefined;
  /**
   * Where the platform refuses OPFS, as private windows do, keep images in memory: `persistence` then is `'memory'`, and they
   * go with the store. Without it everything that concerns stored images rejects with `unavailable` there.
   */
  fallback?: 'memory' | undefined;
}

/**
 * The images that an origin keeps in OPFS, and a worker in which images are open. A file of that folder is an image; its name
 * is at most 200 bytes of UTF-8 without a slash, a leading dot or control characters, and is normalised (NFC).
 *
 * Every method rejects with {@link Qcow2Error} `closed` after `close` and `failed` once the worker is dead, and those of
 * stored images with `unavailable` where the platform refuses OPFS; TypeError for a name that is no string, RangeError for one
 * that no image can have. `locked` comes after two seconds, in which a tab that crashed lets go of what it held.
 */
export interface Store extends AsyncDisposable {
  /** Where the images are, and whether they stay; as of `openStore` and of the last `persist`. */
  readonly persistence: Persistence;
  /**
   * Asks the browser to keep this origin's storage until the person clears it, best from within a click. Whether it does;
   * false for a store in memory.
   */
  persist(): Promise<boolean>;
  /** Every stored image, sorted by name: also those that are locked or cannot be opened, which then have no `info`. */
  list(): Promise<StoredImage[]>;
  /**
   * Makes an empty image and opens it. A backing file is named by the name of an image of this store; that one of the name is
   * there is not required. Nothing is left when it fails or aborts.
   *
   * @throws {@link Qcow2Error} `exists`, `locked`, `no-space`, `corrupt` when the chain of backing files would lead in a circle;
   *   RangeError for a value that no image can have; TypeError for options that exclude each other, and for `dataFile`: a
   *   store holds images, and a raw file beside one would be none; the signal's reason when it aborts
   */
  create(name: string, options: CreateOptions): Promise<OpfsImage>;
  /**
   * Takes a copy of an image into the store. A Blob is read in the worker; a stream is read to its end, or cancelled when the
   * import fails. The name stands for the image when all of it is there and has been opened; until then, and when it fails or
   * aborts, there is nothing. In reports of progress on a stream, whose length nobody knows, `total` is `Infinity`.
   *
   * @throws {@link Qcow2Error} `exists`, `locked`, `no-space`, `not-qcow2`, `unsupported`, `corrupt`, `changed` when the file
   *   was changed meanwhile; what the stream throws; TypeError when it is neither a Blob nor a stream of bytes; the signal's
   *   reason when it aborts
   */
  import(name: string, from: Blob | ReadableStream<Uint8Array>, options?: OperationOptions): Promise<void>;
  /**
   * Opens a stored image for reading. The name of a backing file leads to the image of this store with its last component for
   * a name; only where there is none, `resolve` is asked. Until it is closed, it and its bases are neither renamed nor removed.
   *
   * @throws {@link Qcow2Error} `not-found`, `locked`, else as {@link openFile}
   */
  open(name: string, options?: OpenOptions): Promise<OpfsImage>;
  /**
   * Opens an image from a file that a person chose or dropped, or any other Blob. It is read in place, in the worker, and
   * never written. Works where OPFS is refused.
   *
   * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, `io`; whatever `resolve` throws; `TypeError` when
   *   `resolve` answers with an object that cannot cross to the worker; the signal's reason when it aborts
   */
  openFile(file: Blob, options?: OpenOptions): Promise<OpfsImage>;
  /**
   * Writes an image into a file, from the worker; holes are skipped in raw ones. On an abort or a failure nothing half-written
   * is left: a file of a person's keeps what it had, a file in OPFS is left empty.
   *
   * @throws {@link Qcow2Error} `not-found`, `locked`, `no-space`, and what reading the image throws; TypeError when the file is
   *   an image of this store, which would lose what it holds; the signal's reason
   */
  export(name: string, options: StoreExportOptions & { to: FileSystemFileHandle }): Promise<undefined>;
  /** The image's bytes as a stream. The image is held until the stream ends or is cancelled; what fails is thrown by the stream. */
  export(
    name: string,
    options: StoreExportOptions & { to?: undefined },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** One or the other, when only the options know which. */
  export(name: string, options: StoreExportOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined>;
  /**
   * Writes an image into a temporary file in OPFS, for a download by an object URL.
   *
   * @throws {@link Qcow2Error} `unavailable` also for a store in memory; else as {@link export}. Nothing is left then.
   */
  spool(name: string, options: StoreSpoolOptions): Promise<Spool>;
  /**
   * Gives an image another name.
   *
   * @throws {@link Qcow2Error} `not-found`, `exists`, `locked` while it is open somewhere, or while images of the store are based
   *   on it, which `details.overlays` then names
   */
  rename(from: string, to: string): Promise<void>;
  /** Deletes an image. Throws as {@link rename} does. */
  remove(name: string): Promise<void>;
  /** How much this origin stores, and may. */
  estimate(): Promise<StoreEstimate>;
  /**
   * Closes every image, deletes every spool and ends the worker. What still runs is aborted and rejects with
   * {@link Qcow2Error} `closed`. A second call does nothing.
   */
  close(): Promise<void>;
}

/**
 * Starts a dedicated worker with the engine in it. Where the platform refuses OPFS this still resolves, since `openFile` needs
 * none: storage is only asked for when an image is, or with `fallback`. What crashed runs left in it is deleted meanwhile.
 *
 * @throws {@link Qcow2Error} `failed` when the worker cannot be started, `unavailable` where the page is not a secure context;
 *   TypeError or RangeError for a `directory` that is no name, as of an image
 */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  const directory = imageName(options.directory ?? 'qcow2');
  const { fallback } = options;
  if (fallback !== undefined && fallback !== 'memory') {
    throw new TypeError(`The only fallback is 'memory', not ${JSON.stringify(fallback)}.`);
  }
  // Bundlers recognise this expression, and only when it is written in one piece.
  const create = options.worker ?? (() => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
  const connection = await Connection.start(create);
  try {
    const kind = await connection.call((worker) => worker.useStorage({ directory, fallback: fallback ?? null }));
    return new WorkerStore(connection, kind === 'memory' ? 'memory' : await persistenceOfOrigin());
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class WorkerStore implements Store {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #connection: Connection;
  readonly #pool: BufferPool = new BufferPool();
  #persistence: Persistence;

  static {
    makeDisposable(WorkerStore.prototype);
  }

  constructor(connection: Connection, persistence: Persistence) {
    this.#connection = connection;
    this.#persistence = persistence;
  }

  get persistence(): Persistence {
    return this.#persistence;
  }

  async persist(): Promise<boolean> {
    if (this.#persistence === 'memory') return false;
    const granted = (await navigator.storage?.persist?.()) ?? false;
    this.#persistence = granted ? 'persistent' : 'best-effort';
    return granted;
  }

  list(): Promise<StoredImage[]> {
    return this.#connection.call((worker) => worker.list());
  }

  async create(name: string, options: CreateOptions): Promise<OpfsImage> {
    const { signal, onProgress, ...wire } = options;
    if (wire.dataFile !== undefined) {
      throw new TypeError(
        'A store keeps no data files: use Qcow2Image.create of the package qcow2 on devices of your own.',
      );
    }
    const stored = imageName(name);
    const reports = onProgress !== undefined;
    const id = this.#connection.reserve();
    const send = (worker: RemoteWorker): Answer<ImageState> => worker.createStored(id, stored, wire, reports);
    return this.#image(id, await this.#connection.call(send, { signal, onProgress }, id));
  }

  async import(
    name: string,
    from: Blob | ReadableStream<Uint8Array>,
    { signal, onProgress }: OperationOptions = {},
  ): Promise<void> {
    const stored = imageName(name);
    const reports = onProgress !== undefined;
    const run = (blob: Blob | null, options: CallOptions): Promise<void> =>
      this.#connection.call((worker, call) => worker.importStored(call, stored, blob, reports), {
        signal,
        onProgress,
        ...options,
      });
    if (from instanceof Blob) return run(from, {});
    if (!(from instanceof ReadableStream))
      throw new TypeError('import() takes a File, another Blob or a ReadableStream.');
    const { pull, end } = streamPull(from);
    try {
      await run(null, { pull });
    } catch (error) {
      await end(error);
      throw error;
    }
  }

  async open(name: string, options: OpenOptions = {}): Promise<OpfsImage> {
    const stored = imageName(name);
    return this.#open(options, (worker, id, wire) => worker.openStored(id, stored, wire));
  }

  async openFile(file: Blob, options: OpenOptions = {}): Promise<OpfsImage> {
    if (!(file instanceof Blob)) throw new TypeError('openFile() opens a File or another Blob.');
    return this.#open(options, (worker, id, wire) => worker.open(id, file, wire));
  }

  export(name: string, options: StoreExportOptions & { to: FileSystemFileHandle }): Promise<undefined>;
  export(
    name: string,
    options: StoreExportOptions & { to?: undefined },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  async export(
    name: string,
    { format, to, signal, onProgress }: StoreExportOptions,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined> {
    const stored = imageName(name);
    const reports = onProgress !== undefined;
    requireFormat(format);
    if (to === undefined) {
      const cursor = new RemoteCursor<Uint8Array<ArrayBuffer> | null>(
        this.#connection,
        (worker, id) => worker.streamStored(id, stored, format, reports),
        { signal, onProgress },
      );
      await cursor.open();
      return guestStream(cursor);
    }
    if (to?.kind !== 'file') throw new TypeError('export() needs a FileSystemFileHandle in `to`.');
    await this.#connection.call((worker, call) => worker.exportStored(call, stored, format, to, reports), {
      signal,
      onProgress,
    });
  }

  async spool(name: string, { format, signal, onProgress }: StoreSpoolOptions): Promise<Spool> {
    const stored = imageName(name);
    requireFormat(format);
    const send = (worker: RemoteWorker, id: number): Answer<File> =>
      worker.spoolStored(id, stored, format, onProgress !== undefined);
    return makeSpool(this.#connection, send, { signal, onProgress });
  }

  async rename(from: string, to: string): Promise<void> {
    const names = [imageName(from), imageName(to)] as const;
    await this.#connection.call((worker, call) => worker.rename(call, ...names));
  }

  async remove(name: string): Promise<void> {
    const stored = imageName(name);
    await this.#connection.call((worker, call) => worker.remove(call, stored));
  }

  async estimate(): Promise<StoreEstimate> {
    const estimate = this.#persistence === 'memory' ? undefined : await navigator.storage?.estimate?.();
    return {
      // Safari has estimates from 17 on.
      usage: estimate?.usage ?? (await this.#connection.call((worker) => worker.usage())),
      quota: estimate?.quota ?? Number.POSITIVE_INFINITY,
    };
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  #image(id: number, state: ImageState): OpfsImage {
    return new OpfsImage(this.#connection, id, this.#pool, state);
  }

  async #open(
    options: OpenOptions,
    send: (worker: RemoteWorker, id: number, wire: WireOpenOptions) => Answer<ImageState>,
  ): Promise<OpfsImage> {
    const { mode, cache, resolve, signal, onProgress } = options;
    const id = this.#connection.reserve();
    const wire = { mode, cache, resolves: resolve !== undefined, reports: onProgress !== undefined };
    try {
      const state = await this.#connection.call(
        (worker) => send(worker, id, wire),
        { signal, resolve, onProgress, lasting: true },
        id,
      );
      const image = this.#image(id, state);
      if (!signal?.aborted) return image;
      await image.close();
      throw signal.reason;
    } catch (error) {
      this.#connection.forget(id);
      throw error;
    }
  }
}

function requireFormat(format: unknown): void {
  if (format === 'raw' || format === 'qcow2') return;
  throw new TypeError(`The format must be 'raw' or 'qcow2', not ${JSON.stringify(format)}.`);
}

async function persistenceOfOrigin(): Promise<Persistence> {
  // Where storage is refused, so may be the question.
  const persisted = await navigator.storage?.persisted?.().catch(() => false);
  return persisted ? 'persistent' : 'best-effort';
}
