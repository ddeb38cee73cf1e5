/** Implements openStore for both entries: starts the worker and opens its storage. */
import { isQcow2Error, Qcow2Error } from 'qcow2';
import { requireOneOf, requireOptions } from 'qcow2/internal';
import { imageName } from '../protocol/image-name.js';
import type { Persistence } from '../protocol/stored-image.js';
import { Connection } from './connection.js';
import type { Store } from './store.js';
import { WorkerStore } from './worker-store.js';

/** Options of `openStore`. */
export interface StoreOptions {
  /** The folder of OPFS that contains the images; default `'qcow2'`. Another folder is another store. */
  directory?: string | undefined;
  /**
   * Makes the worker instead of the entry: a module worker whose script is, or imports, `qcow2-opfs/worker`. For pages
   * whose bundler does not find that script, or that make its `TrustedScriptURL` with a policy of their own.
   */
  worker?: (() => Worker) | undefined;
  /**
   * Where the platform refuses OPFS, as private windows do, keep images in memory: `persistence` then is `'memory'`,
   * and they are lost when the store closes. Without it methods of stored images reject with `unavailable` there.
   */
  fallback?: 'memory' | undefined;
}

/** How an entry of the package starts its worker. */
export interface WorkerStart {
  readonly create: () => Worker;
  /** What to do if that worker does not start: a sentence for the error. */
  readonly advice: string;
}

/** The advice for a worker that the caller made. */
const OWN_ADVICE = 'The option `worker` must create a module worker whose script is, or imports, qcow2-opfs/worker.';

/**
 * Starts a worker and opens its storage. `openStore` of both entries calls this; their doc comments list what it
 * throws.
 *
 * @param entry starts the worker without the option `worker`
 */
export async function openStoreWith(entry: WorkerStart, options: StoreOptions): Promise<Store> {
  requireOptions(options, { directory: 'a string', worker: 'a function' });
  const { fallback, worker } = options;
  const directory = imageName(options.directory ?? 'qcow2');
  if (fallback !== undefined) requireOneOf('fallback', fallback, ['memory']);
  const connection = await connect(worker ? { create: worker, advice: OWN_ADVICE } : entry);
  try {
    const kind = await connection.call((remote) => remote.useStorage({ directory, fallback: fallback ?? null }));
    return new WorkerStore(connection, kind === 'memory' ? 'memory' : await persistenceOfOrigin());
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function connect({ create, advice }: WorkerStart): Promise<Connection> {
  try {
    return await Connection.start(create);
  } catch (error) {
    if (!isQcow2Error(error, 'failed')) throw error;
    throw new Qcow2Error('failed', `${error.message} ${advice}`, error.details, { cause: error.cause ?? error });
  }
}

async function persistenceOfOrigin(): Promise<Persistence> {
  // Where storage is refused, `persisted` may reject too.
  const persisted = await navigator.storage?.persisted?.().catch(() => false);
  return persisted ? 'persistent' : 'best-effort';
}
