/** Owns the joining of work that may be done at once or promised. */
import type { Done } from './device.js';

/**
 * Starts every part, and waits for those that must be waited for: `undefined` when nothing must. Every part ends before the
 * whole does, also when one fails, so that no transfer writes into a buffer that its owner has back.
 */
export function all(parts: readonly (() => Done)[]): Done {
  const waits: Promise<void>[] = [];
  for (const part of parts) {
    try {
      const done = part();
      if (done !== undefined) waits.push(done);
    } catch (error) {
      waits.push(Promise.reject(error));
    }
  }
  if (waits.length === 0) return;
  if (waits.length === 1) return waits[0];
  return Promise.allSettled(waits).then((results) => {
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  });
}

/** Goes on with `next` at once, or when `done` is. (Not called `then`: that would make the module a thenable.) */
export function after(done: Done, next: () => Done): Done {
  return done === undefined ? next() : done.then(next);
}

/** Waits for shared work that must not be stopped: the caller's abort ends only the caller's wait. */
export async function settled(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await work;
    return;
  }
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
