/** Owns the use of Web Locks: one is held for as long as its holder lives, so that others notice when it is gone. */

/** Lets go of a lock. */
export type Release = () => void;

/**
 * Holds the exclusive lock `name` until the returned function is called or this page or worker is gone. Waits for it, or,
 * with `ifFree`, answers null when somebody else holds it.
 *
 * @throws `signal.reason` when the signal aborts the wait
 */
export function holdLock(name: string, options: { ifFree: true }): Promise<Release | null>;
export function holdLock(name: string, options?: { signal?: AbortSignal }): Promise<Release>;
export function holdLock(
  name: string,
  options: { ifFree?: boolean; signal?: AbortSignal } = {},
): Promise<Release | null> {
  const { ifFree, ...rest } = options;
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, ifFree ? { ifAvailable: true } : rest, (lock) => {
        if (!lock) return resolve(null);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}
