/** Combines work that is done synchronously or returns a promise. */
import type { Done } from '../../api/device.js';
import { onAbort } from './on-abort.js';

/**
 * Starts every part, and waits for those that return a promise; returns `undefined` when none does. It ends after all
 * parts have ended, also when one fails, so that no transfer writes into a buffer that its owner has back. When all
 * parts are synchronous, a failure is thrown synchronously.
 */
export function all(parts: readonly (() => Done)[]): Done {
  const failures: unknown[] = [];
  const fail = (error: unknown): void => {
    failures.push(error);
  };
  const waits = parts.map((part) => {
    try {
      return part()?.catch(fail);
    } catch (error) {
      return fail(error);
    }
  });
  const end = (): void => {
    if (failures.length > 0) throw failures[0];
  };
  return waits.some(Boolean) ? Promise.all(waits).then(end) : end();
}

/**
 * Runs `next` synchronously, or when `done` is fulfilled. (Not called `then`: that would make the module a thenable.)
 */
export function after(done: Done, next: () => Done): Done {
  return done === undefined ? next() : done.then(next);
}

/**
 * Turns what a device or a source returned into a promise of this realm, also a promise of an iframe, of a `vm` context
 * or of a library. Returns undefined for anything else: the work was synchronous.
 */
export function asPromise(done: Done): Done {
  return isPromise(done) ? Promise.resolve(done) : undefined;
}

/**
 * True if a value is a thenable. Its class does not matter: another realm has another one, and some libraries replace
 * it.
 */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function';
}

/** Waits for shared work that must continue: the caller's abort ends only the caller's wait. */
export async function settled(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await work;
    return;
  }
  let removeListener = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else removeListener = onAbort(signal, stop);
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    removeListener();
  }
}
