/** Owns the page's one store: started when the first file is opened, and started anew after its worker has died. */
import { isQcow2Error } from 'qcow2';
import { openStore, type Store } from 'qcow2-opfs';

let current: Promise<Store> | null = null;

/**
 * The store with the worker that reads images and keeps them, in memory where the browser refuses its storage. The page
 * never runs the engine itself.
 */
export function engine(): Promise<Store> {
  if (current === null) {
    const started = openStore({ fallback: 'memory' });
    started.catch(() => drop(started));
    current = started;
  }
  return current;
}

/**
 * Does some work with the store; once more with a new one when the worker turns out to have died before or meanwhile.
 */
export async function withEngine<T>(work: (store: Store) => Promise<T>): Promise<T> {
  try {
    return await withEngineOnce(work);
  } catch (error) {
    if (!isGone(error)) throw error;
    return work(await engine());
  }
}

/**
 * Does some work that must not be done twice: when the worker dies meanwhile, the person decides whether to try again.
 */
export async function withEngineOnce<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = engine();
  try {
    return await work(await store);
  } catch (error) {
    if (isGone(error)) drop(store);
    throw error;
  }
}

/**
 * Looks at an error of an image that is open: after one that says that its worker is gone, the next file gets a new
 * one.
 */
export function noticeError(error: unknown): void {
  const suspect = current;
  if (suspect === null || !isGone(error)) return;
  // The image may be of a worker that was replaced since.
  suspect
    .then((store) => store.list())
    .catch((reason: unknown) => {
      if (isGone(reason)) drop(suspect);
    });
}

function isGone(error: unknown): boolean {
  return isQcow2Error(error, 'failed');
}

function drop(dead: Promise<Store>): void {
  if (current === dead) current = null;
  dead.then(
    (store) => store.close(),
    () => undefined, // it never started, so there is nothing to close
  );
}
