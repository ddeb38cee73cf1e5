/** Owns the joining of work that may be done at once or promised. */
import type { Done } from './device.js';

/** Waits for all that must be waited for: `undefined` when nothing must. */
export function all(parts: readonly Done[]): Done {
  const waits = parts.filter((part) => part !== undefined);
  if (waits.length === 0) return;
  if (waits.length === 1) return waits[0];
  // Every part ends before the whole does, so that no transfer writes into a buffer its owner has back.
  return Promise.allSettled(waits).then((results) => {
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  });
}

/** Goes on with `next` at once, or when `done` is. (A module that exported `then` would be a thenable, and could not be imported dynamically.) */
export function after(done: Done, next: () => Done): Done {
  return done === undefined ? next() : done.then(next);
}

/** Waits for shared work that must not be stopped: the caller's abort ends only the caller's wait. */
export async function settled(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await work;
    return;
  }
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
