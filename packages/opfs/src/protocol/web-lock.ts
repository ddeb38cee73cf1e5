/** Web Locks: one is held for as long as its holder lives, so that others notice when it is gone. */

import { onAbort } from 'qcow2/internal';

/** Lets go of a lock. A second call does nothing. */
export type Release = () => void;

/** How often an exclusive lock is requested again. Milliseconds; a request takes one or two. */
const RETRY_EVERY_MS = 25;
/** How often after a while. Milliseconds. */
const RETRY_LATER_EVERY_MS = 250;
/** After how long it is requested less often. Milliseconds. */
const RETRY_OFTEN_MS = 2000;

/** How a lock is requested. */
export interface LockRequest {
  /** `'shared'` with others that share it; default `'exclusive'`. */
  mode?: LockMode | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Holds the lock `name` until the returned function is called or this page or worker is gone. Waits for it, or, with
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
  // A key that is there counts as given, also with undefined in it.
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
 * Holds the lock `name` exclusively, first come, first served; null when its turn does not come within `limit`
 * milliseconds. For locks that are never shared: see {@link holdAlone}.
 *
 * @throws `signal.reason` when the signal aborts the wait
 */
export async function holdInTurn(name: string, limit: number, signal?: AbortSignal): Promise<Release | null> {
  signal?.throwIfAborted();
  const wait = new AbortController();
  const end = (): void => wait.abort();
  const timer = setTimeout(end, limit);
  const ignore = signal && onAbort(signal, end);
  try {
    return await holdLock(name, { signal: wait.signal });
  } catch (cause) {
    signal?.throwIfAborted();
    if (!wait.signal.aborted) throw cause;
    return null;
  } finally {
    clearTimeout(timer);
    ignore?.();
  }
}

/**
 * Holds the lock `name` exclusively once it is free; null when it is not within `limit` milliseconds, which may be
 * `Infinity`. It is requested again and again, and never queued: in Chromium an exclusive request that is aborted while
 * it is pending leaves the shared requests behind it hanging until the holder releases the lock, and while it is
 * pending no reader is let in.
 *
 * @throws `signal.reason` when the signal aborts the wait
 */
export async function holdAlone(name: string, limit: number, signal?: AbortSignal): Promise<Release | null> {
  const started = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    const release = await holdLock(name, { ifFree: true });
    if (release && signal?.aborted) release();
    signal?.throwIfAborted();
    const waited = performance.now() - started;
    if (release || waited >= limit) return release;
    await pause(waited < RETRY_OFTEN_MS ? RETRY_EVERY_MS : RETRY_LATER_EVERY_MS, signal);
  }
}

/** Resolves after so many milliseconds, and at once when the signal aborts. */
function pause(duration: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      ignore?.();
      resolve();
    };
    const timer = setTimeout(end, duration);
    const ignore = signal && onAbort(signal, end);
  });
}
