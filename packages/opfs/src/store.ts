/** Owns openStore and the store it returns: one worker, and the images open in it. */
import type { OpenOptions } from 'qcow2';
import { BufferPool } from './buffer-pool.js';
import { Connection } from './connection.js';
import { makeDisposable } from './disposable.js';
import { OpfsImage } from './opfs-image.js';

/** How a store is opened. */
export interface StoreOptions {
  /**
   * Makes the worker, for pages whose bundler does not find it by itself: a module worker whose script is, or imports,
   * `qcow2-opfs/worker`.
   */
  worker?: (() => Worker) | undefined;
}

/** A worker in which images are open. */
export interface Store extends AsyncDisposable {
  /**
   * Opens an image from a file that a person chose or dropped, or any other Blob. It is read in place, in the worker, and
   * never written.
   *
   * @throws {@link Qcow2Error} `not-qcow2`, `unsupported`, `corrupt`, `io`; whatever `resolve` throws; `TypeError` when
   *   `resolve` answers with an object that cannot cross to the worker; the signal's reason when it aborts
   */
  openFile(file: Blob, options?: OpenOptions): Promise<OpfsImage>;
  /**
   * Closes every image, deletes every spool and ends the worker. What still runs is aborted and rejects with
   * {@link Qcow2Error} `closed`. A second call does nothing.
   */
  close(): Promise<void>;
}

/**
 * Starts a dedicated worker with the engine in it. Does not touch the page's storage, which private windows may refuse.
 *
 * @throws {@link Qcow2Error} `failed` when the worker cannot be started, `unavailable` where the page is not a secure context
 */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  // Bundlers recognise this expression, and only when it is written in one piece.
  const create = options.worker ?? (() => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
  return new WorkerStore(await Connection.start(create));
}

class WorkerStore implements Store {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #connection: Connection;
  readonly #pool: BufferPool = new BufferPool();

  static {
    makeDisposable(WorkerStore.prototype);
  }

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async openFile(file: Blob, options: OpenOptions = {}): Promise<OpfsImage> {
    if (!(file instanceof Blob)) throw new TypeError('openFile() opens a File or another Blob.');
    const { mode, cache, resolve, signal, onProgress } = options;
    const id = this.#connection.reserve();
    const wire = { mode, cache, resolves: resolve !== undefined, reports: onProgress !== undefined };
    try {
      const state = await this.#connection.call(
        (worker) => worker.open(id, file, wire),
        { signal, resolve, onProgress, lasting: true },
        id,
      );
      const image = new OpfsImage(this.#connection, id, this.#pool, state);
      if (!signal?.aborted) return image;
      await image.close();
      throw signal.reason;
    } catch (error) {
      this.#connection.forget(id);
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
