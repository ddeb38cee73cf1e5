/** Owns openStore: how a store comes to its worker, and the worker to its storage. */
import { Connection } from './connection.js';
import { imageName } from './image-name.js';
import type { Store } from './store.js';
import type { Persistence } from './stored-image.js';
import { WorkerStore } from './worker-store.js';

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

async function persistenceOfOrigin(): Promise<Persistence> {
  // Where storage is refused, so may be the question.
  const persisted = await navigator.storage?.persisted?.().catch(() => false);
  return persisted ? 'persistent' : 'best-effort';
}
