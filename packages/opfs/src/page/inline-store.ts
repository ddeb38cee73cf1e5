/** Implements openStore of the entry `qcow2-opfs/inline`, which embeds the worker's script as text. */

import { workerOfText } from '../protocol/script-worker.js';
import { workerScript } from '../worker-script.js';
import { openStoreWith, type StoreOptions, type WorkerStart } from './open-store.js';
import type { Store } from './store.js';

const INLINE: WorkerStart = {
  create: () => workerOfText(workerScript),
  advice:
    "A Content-Security-Policy must allow it with `worker-src blob:`; openStore of 'qcow2-opfs' starts a script " +
    "of the page's own server instead.",
};

/**
 * Starts a dedicated worker with the engine in it from a `blob:` URL, so that no bundler or server has to provide its
 * script. Otherwise it is the same as `openStore` of `qcow2-opfs`, whose script is fetched only when it is called.
 *
 * @throws {@link Qcow2Error} `failed` when the worker cannot be started, `unavailable` where the page is not a secure
 *   context; TypeError or RangeError for an invalid `directory`, as for an image's name
 *
 * @example
 * ```ts
 * import { openStore } from 'qcow2-opfs/inline';
 *
 * const store = await openStore({ directory: 'disks', fallback: 'memory' });
 * ```
 */
export function openStore(options: StoreOptions = {}): Promise<Store> {
  return openStoreWith(INLINE, options);
}
