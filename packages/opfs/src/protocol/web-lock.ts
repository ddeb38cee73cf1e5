/** Requests Web Locks. A lock is held while its page or worker lives, so that others can detect its end. */

import { onAbort } from 'qcow2/internal';

/** Releases a lock. A second call does nothing. */
export type Release = () => void;

/** Interval of requests for an exclusive lock at first. Milliseconds; a request takes one or two. */
const RETRY_EVERY_MS = 25;
/** Interval of requests later on. Milliseconds. */
const RETRY_LATER_EVERY_MS = 250;
/** When the interval changes. Milliseconds. */
const RETRY_OFTEN_MS = 2000;

/** Options of a lock request. */
export interface LockRequest {
  /** `'shared'` with others that share it; default `'exclusive'`. */
  mode?: LockMode | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Holds the lock `name` until the returned function is called or this page or worker ends. Waits for it, or, with
 * `ifFree`, resolves with null when it is held elsewhere.
 *
 * @throws `signal.reason` when the signal aborts the wait
 */
export function holdLock(name: string, options: { ifFree: true; mode?: LockMode | undefined }): Promise<Release | null>;
export function holdLock(name: string, options?: LockRequest): Promise<Release>;
export function holdLock(
  name: string,
  options: LockRequest & { ifFree?: boolean | undefined } = {},
): Promise<Release | null> {
  const { ifFree, mode = 'exclusive', signal } = options;
  // A present key counts as given even if its value is undefined.
  const request: LockOptions = ifFree ? { mode, ifAvailable: true } : signal ? { mode, signal } : { mode };
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, request, (lock) => {
        if (!lock) return resolve(null);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}

/**
 * Holds the lock `name` exclusively, in the order of requests; null when it is not granted within `limit` milliseconds.
 * For locks that are never shared: see {@link holdExclusiveLock}.
 *
 * @throws `signal.reason` when the signal aborts the wait
 */
export async function holdQueuedLock(name: string, limit: number, signal?: AbortSignal): Promise<Release | null> {
  signal?.throwIfAborted();
  const wait = new AbortController();
  const end = (): void => wait.abort();
  const timer = setTimeout(end, limit);
  const removeListener = signal && onAbort(signal, end);
  try {
    return await holdLock(name, { signal: wait.signal });
  } catch (cause) {
    signal?.throwIfAborted();
    if (!wait.signal.aborted) throw cause;
    return null;
  } finally {
    clearTimeout(timer);
    removeListener?.();
  }
}

/**
 * Holds the lock `name` exclusively once it is free; null when it is not within `limit` milliseconds, which may be
 * `Infinity`. It polls instead of queueing a request: while an exclusive request is pending, no reader is let in. In
 * Chromium, aborting it leaves the shared requests behind it hanging until the holder releases the lock.
 *
 * @throws `signal.reason` when the signal aborts the wait
 */
export async function holdExclusiveLock(name: string, limit: number, signal?: AbortSignal): Promise<Release | null> {
  const started = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    const release = await holdLock(name, { ifFree: true });
    if (release && signal?.aborted) release();
    signal?.throwIfAborted();
    const waited = performance.now() - started;
    if (release || waited >= limit) return release;
    await sleep(waited < RETRY_OFTEN_MS ? RETRY_EVERY_MS : RETRY_LATER_EVERY_MS, signal);
  }
}

/** Resolves after `duration` milliseconds, or immediately when the signal aborts. */
function sleep(duration: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      removeListener?.();
      resolve();
    };
    const timer = setTimeout(end, duration);
    const removeListener = signal && onAbort(signal, end);
  });
}
