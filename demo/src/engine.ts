/** Owns the page's one store: started when the first file is opened, and started anew after its worker has died. */
import { isQcow2Error } from 'qcow2';
import { openStore, type Store } from 'qcow2-opfs';

let current: Promise<Store> | null = null;

/**
 * The store with the worker that reads images and keeps them, in memory where the browser refuses its storage. The page
 * never runs the engine itself.
 */
export function engine(): Promise<Store> {
  current ??= openStore({ fallback: 'memory' });
  current.catch(dropEngine);
  return current;
}

/** Does some work with the store; once more with a new one when the worker turns out to have died before or meanwhile. */
export async function withEngine<T>(work: (store: Store) => Promise<T>): Promise<T> {
  try {
    return await work(await engine());
  } catch (error) {
    if (!noticeError(error)) throw error;
    return work(await engine());
  }
}

/** Does some work that must not be done twice: when the worker dies meanwhile, the person decides whether to try again. */
export async function withEngineOnce<T>(work: (store: Store) => Promise<T>): Promise<T> {
  try {
    return await work(await engine());
  } catch (error) {
    noticeError(error);
    throw error;
  }
}

/** Looks at an error: after one that says that the worker is gone, the next file gets a new one. Whether it says so. */
export function noticeError(error: unknown): boolean {
  const isGone = isQcow2Error(error, 'failed');
  if (isGone) dropEngine();
  return isGone;
}

function dropEngine(): void {
  const dead = current;
  current = null;
  dead?.then(
    (store) => store.close(),
    () => undefined, // it never started, so there is nothing to close
  );
}
