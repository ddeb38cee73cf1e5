/** Owns the joining of work that may be done at once or promised. */
import type { Done } from '../../api/device.js';
import { onAbort } from './on-abort.js';

/**
 * Starts every part, and waits for those that must be waited for: `undefined` when nothing must. Every part ends before
 * the whole does, also when one fails, so that no transfer writes into a buffer that its owner has back. When nothing
 * must be waited for, a failure is thrown at once.
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

/** Goes on with `next` at once, or when `done` is. (Not called `then`: that would make the module a thenable.) */
export function after(done: Done, next: () => Done): Done {
  return done === undefined ? next() : done.then(next);
}

/**
 * What a device or a source returned, as a promise of this realm: one of an iframe, of a `vm` context or of a library
 * is waited for, too. What is no promise was done at once.
 */
export function adopted(done: Done): Done {
  return isPromise(done) ? Promise.resolve(done) : undefined;
}

/**
 * Whether a value must be waited for. Not by its class: another realm has another one, and some libraries replace it.
 */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function';
}

/** Waits for shared work that must not be stopped: the caller's abort ends only the caller's wait. */
export async function settled(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await work;
    return;
  }
  let ignore = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else ignore = onAbort(signal, stop);
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    ignore();
  }
}
