/** Owns the workers that tests start by hand: one that can be ended from outside, one whose storage is refused. */

/** A factory of the package's own worker that remembers what it made. */
export function killableWorker(): { create: () => Worker; kill: () => void } {
  let made: Worker | undefined;
  return {
    create: () => {
      made = new Worker(new URL('../../src/worker.ts', import.meta.url), { type: 'module' });
      return made;
    },
    kill: () => made?.terminate(),
  };
}

/** The package's worker where the platform refuses its storage, as Firefox does in private windows. */
export function workerWithoutStorage(): Worker {
  return new Worker(new URL('./storage-refused-worker.ts', import.meta.url), { type: 'module' });
}
