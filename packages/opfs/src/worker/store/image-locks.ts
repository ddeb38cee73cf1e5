/**
 * Locks a store's images across all tabs and workers of the origin: readers share a lock, a change has it exclusively.
 */
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';
import { holdExclusiveLock, holdLock, holdQueuedLock, type Release } from '../../protocol/web-lock.js';
import { unlessAborted } from '../calls/unless-aborted.js';

/** Timeout for an image's lock: a crashed tab can hold its locks for a second or two. Milliseconds. */
const IMAGE_TIMEOUT_MS = 2000;
/**
 * Timeout for the lock of the folder's names. One change of each other worker comes first, which reads the header of
 * every image of the store at most: 0.8 s with 200 images. Milliseconds.
 */
const DIRECTORY_TIMEOUT_MS = 5000;

/** How a lock is waited for. */
export interface LockWait {
  readonly signal?: AbortSignal | undefined;
  /** `'wait'` waits until the image is free; by default the wait ends with `locked` after two seconds. */
  readonly lock?: 'fail' | 'wait' | undefined;
}

/** The locks of one folder's images. */
export class ImageLocks {
  readonly #scope: string;
  /** Resolves when this worker's name changes so far have ended. */
  #changes: Promise<unknown> = Promise.resolve();

  /** @param scope differs from those of other folders of the origin */
  constructor(scope: string) {
    this.#scope = `qcow2-opfs ${scope}`;
  }

  /**
   * Locks an image for reading.
   *
   * @throws {@link Qcow2Error} `locked` when a change of it does not end; the signal's reason
   */
  async read(name: string, { signal, lock }: LockWait = {}): Promise<Release> {
    signal?.throwIfAborted();
    if (lock === 'wait') return holdLock(this.#nameOf(name), { mode: 'shared', signal });
    const wait = new AbortController();
    const end = (): void => wait.abort();
    const timer = setTimeout(end, IMAGE_TIMEOUT_MS);
    const removeListener = signal && onAbort(signal, end);
    try {
      return await holdLock(this.#nameOf(name), { mode: 'shared', signal: wait.signal });
    } catch (cause) {
      signal?.throwIfAborted();
      if (!wait.signal.aborted) throw cause;
      throw lockedImage(name, 'being changed', cause);
    } finally {
      clearTimeout(timer);
      removeListener?.();
    }
  }

  /** Locks an image for reading if it is not being changed now; else null. */
  tryRead(name: string): Promise<Release | null> {
    return holdLock(this.#nameOf(name), { mode: 'shared', ifFree: true });
  }

  /**
   * Locks an image, or a name for a new one, exclusively.
   *
   * @throws {@link Qcow2Error} `locked` when it stays open; the signal's reason
   */
  async change(name: string, { signal, lock }: LockWait = {}): Promise<Release> {
    const limit = lock === 'wait' ? Number.POSITIVE_INFINITY : IMAGE_TIMEOUT_MS;
    const release = await holdExclusiveLock(this.#nameOf(name), limit, signal);
    if (!release) throw lockedImage(name, 'open');
    return release;
  }

  /**
   * Runs one change of the folder's names exclusively. This worker's changes run in call order, and do not count
   * towards the timeout, which is for other workers. `change` must not take a lock.
   *
   * @throws {@link Qcow2Error} `locked` when another worker's change does not end; the signal's reason; what `change`
   *   throws
   */
  async changeNames<T>(signal: AbortSignal, change: () => Promise<T>): Promise<T> {
    const before = this.#changes;
    const changed = unlessAborted(before, signal).then(() => this.#changeExclusively(signal, change));
    // If a waiting change is aborted, the next one still waits for those before it.
    this.#changes = changed.then(
      () => {},
      () => before,
    );
    return changed;
  }

  async #changeExclusively<T>(signal: AbortSignal, change: () => Promise<T>): Promise<T> {
    const release = await holdQueuedLock(this.#scope, DIRECTORY_TIMEOUT_MS, signal);
    try {
      if (release) return await change();
    } finally {
      release?.();
    }
    throw new Qcow2Error('locked', 'Images are being renamed or removed in this or another tab. Try again.');
  }

  #nameOf(image: string): string {
    return `${this.#scope}/${image}`;
  }
}

function lockedImage(name: string, state: 'open' | 'being changed', cause?: unknown): Qcow2Error {
  const message = `"${name}" is ${state} in this or another tab. Close it there and try again.`;
  return new Qcow2Error('locked', message, { name }, { cause });
}
