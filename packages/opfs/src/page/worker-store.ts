/** Implements the store that openStore returns: each verb is sent to its worker. */
import type { ImageInfo, OperationOptions } from 'qcow2';
import { refuse, requireEmpty, requireOptions } from 'qcow2/internal';
import { BufferPool } from '../protocol/buffer-pool.js';
import { imageName } from '../protocol/image-name.js';
import type { PromisedOutcome, WireOpenOptions } from '../protocol/messages.js';
import {
  type FileOpenOptions,
  isRemoteFile,
  type RemoteFile,
  type StoreCreateOptions,
  type StoreOpenOptions,
  wireRemoteFile,
} from '../protocol/remote-file.js';
import { isBlob, isOf } from '../protocol/shape.js';
import type {
  Persistence,
  StoredImage,
  StoreEstimate,
  StoreExportOptions,
  StoreTemporaryExportOptions,
} from '../protocol/stored-image.js';
import type { CallOptions, Connection, RemoteWorker } from './connection.js';
import { makeDisposable } from './disposable.js';
import { guestStream } from './guest-stream.js';
import { RemoteCursor } from './remote-cursor.js';
import type { Store } from './store.js';
import { requireCreation, requireExport, requireOpening, requireTarget } from './store-arguments.js';
import { streamPull } from './stream-pull.js';
import { type TemporaryExport, temporaryExportOf } from './temporary-export.js';
import { wireExport, wireReports } from './wire-reports.js';
import { WorkerImage } from './worker-image.js';

/** The formats that a store exports. */
const FORMATS: readonly string[] = ['raw', 'qcow2'];

/** A {@link Store} over one worker. */
export class WorkerStore implements Store {
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
    this.#connection.requireAlive();
    if (this.#persistence === 'memory') return false;
    const granted = (await navigator.storage?.persist?.()) ?? false;
    this.#persistence = granted ? 'persistent' : 'best-effort';
    return granted;
  }

  async has(name: string): Promise<boolean> {
    const stored = imageName(name);
    return this.#connection.call((worker) => worker.has(stored));
  }

  async stat(name: string): Promise<StoredImage> {
    const stored = imageName(name);
    return this.#connection.call((worker) => worker.stat(stored));
  }

  list(): Promise<StoredImage[]> {
    return this.#connection.call((worker) => worker.list());
  }

  async create(name: string, options: StoreCreateOptions): Promise<WorkerImage> {
    const stored = imageName(name);
    requireCreation(options);
    const { signal, onProgress, resolve, ...wanted } = options;
    const reports = wireReports({ onProgress });
    const wire = { ...wanted, resolves: resolve !== undefined };
    const callbacks = { signal, onProgress, resolve };
    return this.#opening(callbacks, (worker, id) => worker.createStored(id, stored, wire, reports), true);
  }

  async import(name: string, from: Blob | ReadableStream<Uint8Array>, options?: OperationOptions): Promise<void> {
    if (isBlob(from)) {
      if (from.size === 0) await requireEmpty(from);
      return this.#import(name, from, options);
    }
    if (!isOf(from, 'ReadableStream')) refuse('from', 'a File, another Blob or a ReadableStream', from);
    // Must come before any check that throws, so that the stream is cancelled with that reason.
    const stream = streamPull(from);
    try {
      await this.#import(name, null, options, stream.pull);
    } catch (error) {
      stream.cancel(error);
      throw error;
    }
    stream.release();
  }

  async #import(
    name: string,
    blob: Blob | null,
    options: OperationOptions | undefined,
    pull?: CallOptions['pull'],
  ): Promise<void> {
    const stored = imageName(name);
    requireOptions(options);
    const { signal, onProgress } = options ?? {};
    const reports = wireReports({ onProgress });
    await this.#connection.call((worker, call) => worker.importStored(call, stored, blob, reports), {
      signal,
      onProgress,
      pull,
    });
  }

  async open(name: string, options: StoreOpenOptions = {}): Promise<WorkerImage> {
    const stored = imageName(name);
    requireOpening(options);
    const { lock = 'fail' } = options;
    return this.#open(options, (worker, id, wire) => worker.openStored(id, stored, { ...wire, lock }), true);
  }

  async openFile(file: Blob | URL | RemoteFile, options: FileOpenOptions = {}): Promise<WorkerImage> {
    if (!isBlob(file) && !isRemoteFile(file)) {
      refuse('file', 'a File or another Blob, or a URL or { url } of a web server', file);
    }
    requireOpening(options);
    if (options.mode === 'readwrite' || options.mode === 'repair') {
      throw new TypeError('Files are only read: import one into the store, or create an overlay over it, to write.');
    }
    if (isBlob(file) && file.size === 0) await requireEmpty(file);
    const wireFile = isBlob(file) ? file : wireRemoteFile(file);
    return this.#open(options, (worker, id, wire) => worker.open(id, wireFile, wire), false);
  }

  export(name: string, options: StoreExportOptions & { to: FileSystemFileHandle }): Promise<undefined>;
  export(
    name: string,
    options: StoreExportOptions & { to?: undefined },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  async export(
    name: string,
    options: StoreExportOptions,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined> {
    const stored = imageName(name);
    requireExport(options, FORMATS);
    const { format, to, signal, onProgress, onLost } = options;
    if (to !== undefined) requireTarget(to);
    const wire = wireExport(options);
    const callbacks = { signal, onProgress, onLost };
    if (to === undefined) {
      const cursor = new RemoteCursor<Uint8Array<ArrayBuffer> | null>(
        this.#connection,
        (id, call) => this.#connection.call((worker) => worker.streamStored(id, stored, format, wire), call, id),
        callbacks,
      );
      await cursor.open();
      return guestStream(cursor);
    }
    await this.#connection.call((worker, call) => worker.exportStored(call, stored, format, to, wire), callbacks);
  }

  async temporaryExport(name: string, options: StoreTemporaryExportOptions): Promise<TemporaryExport> {
    const stored = imageName(name);
    requireExport(options, FORMATS);
    const { format, signal, onProgress, onLost } = options;
    const id = this.#connection.reserve();
    const wire = wireExport(options);
    const send = (worker: RemoteWorker): PromisedOutcome<File> =>
      worker.temporaryExportStored(id, stored, format, wire);
    const file = await this.#connection.call(send, { signal, onProgress, onLost }, id);
    return temporaryExportOf(this.#connection, id, file);
  }

  async rename(from: string, to: string): Promise<void> {
    const names = [imageName(from, 'from'), imageName(to, 'to')] as const;
    await this.#connection.call((worker, call) => worker.rename(call, ...names));
  }

  async remove(name: string): Promise<void> {
    const stored = imageName(name);
    await this.#connection.call((worker, call) => worker.remove(call, stored));
  }

  async estimate(): Promise<StoreEstimate> {
    this.#connection.requireAlive();
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

  async #open(
    options: FileOpenOptions,
    send: (worker: RemoteWorker, id: number, wire: WireOpenOptions) => PromisedOutcome<ImageInfo>,
    stored: boolean,
  ): Promise<WorkerImage> {
    const { mode, verify, repairDirty, cache, autoCompact, resolve, signal, onProgress } = options;
    const wire = {
      mode,
      verify,
      repairDirty,
      cache,
      autoCompact,
      resolves: resolve !== undefined,
      reports: wireReports({ onProgress }),
    };
    const image = await this.#opening({ signal, resolve, onProgress }, (worker, id) => send(worker, id, wire), stored);
    if (!signal?.aborted) return image;
    await image.close();
    throw signal.reason;
  }

  /**
   * Calls the worker to open an object. The call's number identifies the object, and its callbacks stay until that is
   * closed.
   */
  async #opening(
    callbacks: CallOptions,
    send: (worker: RemoteWorker, id: number) => PromisedOutcome<ImageInfo>,
    stored: boolean,
  ): Promise<WorkerImage> {
    const id = this.#connection.reserve();
    const options = { ...callbacks, lasting: true };
    try {
      const info = await this.#connection.call((worker) => send(worker, id), options, id);
      return new WorkerImage({ connection: this.#connection, id, pool: this.#pool, stored }, info);
    } catch (error) {
      this.#connection.forget(id);
      // It may be open after all, if a callback threw while the result was on its way. It would keep its lock.
      if (this.#connection.alive) await this.#connection.call((worker) => worker.close(id)).catch(() => {});
      throw error;
    }
  }
}
