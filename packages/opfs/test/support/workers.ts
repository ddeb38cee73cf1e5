/** Owns the workers that tests start by hand: one that can be ended from outside, and those that lack something. */

/** The package's own worker. */
function ownWorker(): Worker {
  return new Worker(new URL('../../src/worker.ts', import.meta.url), { type: 'module' });
}

/** A factory of a worker that remembers what it made. */
export function killableWorker(make: () => Worker = ownWorker): { create: () => Worker; kill: () => void } {
  let made: Worker | undefined;
  return {
    create: () => {
      made = make();
      return made;
    },
    kill: () => made?.terminate(),
  };
}

/** The package's worker where the platform refuses its storage, as Firefox does in private windows. */
export function workerWithoutStorage(): Worker {
  return new Worker(new URL('./storage-refused-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker where the platform has no `move`. */
export function workerWithoutMove(): Worker {
  return new Worker(new URL('./moveless-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker, which tells of its flushes on the BroadcastChannel `flushes`. */
export function tellingWorker(): Worker {
  return new Worker(new URL('./telling-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker, which counts what it asks of its files and tells that on the BroadcastChannel `looks`. */
export function lookingWorker(): Worker {
  return new Worker(new URL('./looking-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker where no worker can be started from it: there are none, or their script does not run. */
export function workerWithoutWorkers(name: 'no workers' | 'no script'): Worker {
  return new Worker(new URL('./workerless-worker.ts', import.meta.url), { type: 'module', name });
}

/** The package's worker, blocked for ever by the first handle that it closes. */
export function blockingWorker(): Worker {
  return new Worker(new URL('./blocking-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker, which shares no locks with its page; and its end. */
export function workerApart(): { create: () => Worker; kill: () => void } {
  let made: Worker | undefined;
  return {
    create: () => {
      made = new Worker(new URL('./apart-worker.ts', import.meta.url), { type: 'module' });
      return made;
    },
    kill: () => made?.terminate(),
  };
}

/** The package's worker where a file can hold 1 MiB and no more. */
export function workerWithSmallQuota(): Worker {
  return new Worker(new URL('./small-quota-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker on a medium that takes half a second for 32 MiB. */
export function slowWorker(): Worker {
  return new Worker(new URL('./slow-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker, whose images have the verbs of added-verbs.ts. */
export function workerWithAddedVerbs(): Worker {
  return new Worker(new URL('./added-verbs-worker.ts', import.meta.url), { type: 'module' });
}
