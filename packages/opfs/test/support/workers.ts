/** Starts the workers of tests: one that a test can end, and workers where the platform lacks something. */

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

/** The package's worker, which reports its flushes on the BroadcastChannel `flushes`. */
export function flushReportingWorker(): Worker {
  return new Worker(new URL('./flush-reporting-worker.ts', import.meta.url), { type: 'module' });
}

/** The package's worker, which counts its reads of files and reports them on the BroadcastChannel `reads`. */
export function readCountingWorker(): Worker {
  return new Worker(new URL('./read-counting-worker.ts', import.meta.url), { type: 'module' });
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
export function workerWithOtherLocks(): { create: () => Worker; kill: () => void } {
  let made: Worker | undefined;
  return {
    create: () => {
      made = new Worker(new URL('./other-locks-worker.ts', import.meta.url), { type: 'module' });
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
