/** Owns the use of Web Locks: one is held for as long as its holder lives, so that others notice when it is gone. */

/** Lets go of a lock. A second call does nothing. */
export type Release = () => void;

/** How a lock is asked for. */
export interface LockRequest {
  /** `'shared'` with others that share it; default `'exclusive'`. */
  mode?: LockMode | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Holds the lock `name` until the returned function is called or this page or worker is gone. Waits for it, or, with
 * `ifFree`, answers null when somebody else holds it.
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
