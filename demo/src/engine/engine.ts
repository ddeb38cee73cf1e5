/** Manages the page's only store: opened on first use, and reopened after its worker has died. */
import { isQcow2Error } from 'qcow2';
import { openStore, type Store } from 'qcow2-opfs';

let current: Promise<Store> | null = null;

/**
 * The store, whose worker reads and stores images, in memory where the browser refuses storage. The page itself never
 * runs the engine.
 */
export function engine(): Promise<Store> {
  if (current === null) {
    const started = openStore({ fallback: 'memory' });
    started.catch(() => discardStore(started));
    current = started;
  }
  return current;
}

/** Runs `work` with the store. Runs it once more with a new store if the worker has died before or meanwhile. */
export async function withEngine<T>(work: (store: Store) => Promise<T>): Promise<T> {
  try {
    return await withEngineOnce(work);
  } catch (error) {
    if (!isWorkerDead(error)) throw error;
    return work(await engine());
  }
}

/** Runs work that must not be repeated automatically: if the worker dies meanwhile, the user decides about a retry. */
export async function withEngineOnce<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = engine();
  try {
    return await work(await store);
  } catch (error) {
    if (isWorkerDead(error)) discardStore(store);
    throw error;
  }
}

/** Checks an error of an open image: if it reports a dead worker, the next file gets a new one. */
export function checkWorker(error: unknown): void {
  const suspect = current;
  if (suspect === null || !isWorkerDead(error)) return;
  // The image may belong to a worker that has been replaced since.
  suspect
    .then((store) => store.list())
    .catch((reason: unknown) => {
      if (isWorkerDead(reason)) discardStore(suspect);
    });
}

function isWorkerDead(error: unknown): boolean {
  return isQcow2Error(error, 'failed');
}

function discardStore(dead: Promise<Store>): void {
  if (current === dead) current = null;
  dead.then(
    (store) => store.close(),
    () => undefined, // it did not start, so there is nothing to close
  );
}
