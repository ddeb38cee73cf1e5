/** Implements openStore of the package's main entry, whose worker is a separate script. */

import { startFromAnyOrigin } from '../protocol/script-worker.js';
import { openStoreWith, type StoreOptions, type WorkerStart } from './open-store.js';
import type { Store } from './store.js';

const MODULAR: WorkerStart = {
  // Bundlers recognise this expression only when it is written in one piece.
  create: () => startFromAnyOrigin(() => new Worker(new URL('../worker.js', import.meta.url), { type: 'module' })),
  advice:
    "Import openStore from 'qcow2-opfs/inline' where the bundler or the server does not serve the worker's script, " +
    'or create the worker with the option `worker`.',
};

/**
 * Starts a dedicated worker with the engine in it, from a script of this package that the bundler emits beside the
 * page's own. Where it does not, `qcow2-opfs/inline` has the same function. Where the platform refuses OPFS this still
 * resolves, since `openFile` needs none: storage is opened with the first stored image, or at once with `fallback`.
 * Temporary files of crashed runs are deleted in the background.
 *
 * @throws {@link Qcow2Error} `failed` when the worker cannot be started, `unavailable` where the page is not a secure
 *   context; TypeError or RangeError for an invalid `directory`, as for an image's name
 *
 * @example
 * ```ts
 * import { openStore } from 'qcow2-opfs';
 *
 * const store = await openStore();
 * const image = await store.openFile(file);
 * console.log(image.size);
 * await store.close();
 * ```
 */
export function openStore(options: StoreOptions = {}): Promise<Store> {
  return openStoreWith(MODULAR, options);
}
