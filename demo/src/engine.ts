/** Owns the page's one store: started when the first file is opened, and started anew after its worker has died. */
import { isQcow2Error } from 'qcow2';
import { openStore, type Store } from 'qcow2-opfs';

let current: Promise<Store> | null = null;

/** The store with the worker that reads images. The page never runs the engine itself. */
export function engine(): Promise<Store> {
  current ??= openStore();
  current.catch(dropEngine);
  return current;
}

/** Looks at an error of the store's: after one that says that the worker is gone, the next file gets a new one. */
export function noticeError(error: unknown): void {
  if (isQcow2Error(error, 'failed', 'closed')) dropEngine();
}

function dropEngine(): void {
  const dead = current;
  current = null;
  dead?.then(
    (store) => store.close(),
    () => undefined, // it never started, so there is nothing to close
  );
}
