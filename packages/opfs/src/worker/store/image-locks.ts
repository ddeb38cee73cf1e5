/**
 * The locks of a store's images, over every tab and worker of the origin: readers share a lock, and a change holds it
 * alone.
 */
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';
import { holdAlone, holdInTurn, holdLock, type Release } from '../../protocol/web-lock.js';
import { unlessAborted } from '../calls/unless-aborted.js';

/** How long an image is waited for: a tab that crashed can hold its locks for a second or two. Milliseconds. */
const IMAGE_TIMEOUT_MS = 2000;
/**
 * How long the folder's names are waited for. Of each other worker one change comes first, which looks at every image
 * of the store at the most: 0.8 s with 200 images. Milliseconds.
 */
const DIRECTORY_TIMEOUT_MS = 5000;

/** How an image is waited for. */
export interface LockWait {
  readonly signal?: AbortSignal | undefined;
  /** `'wait'` waits until the image is free; by default the wait ends with `locked` after two seconds. */
  readonly lock?: 'fail' | 'wait' | undefined;
}

/** The locks of one folder's images. */
export class ImageLocks {
  readonly #scope: string;
  /** Resolves when this worker's changes of names so far have ended. */
  #changes: Promise<unknown> = Promise.resolve();

  /** @param scope differs from those of other folders of the origin */
  constructor(scope: string) {
    this.#scope = `qcow2-opfs ${scope}`;
  }

  /**
   * Holds an image for reading.
   *
   * @throws {@link Qcow2Error} `locked` when a change of it does not end; the signal's reason
   */
  async read(name: string, { signal, lock }: LockWait = {}): Promise<Release> {
    signal?.throwIfAborted();
    if (lock === 'wait') return holdLock(this.#nameOf(name), { mode: 'shared', signal });
    const wait = new AbortController();
    const end = (): void => wait.abort();
    const timer = setTimeout(end, IMAGE_TIMEOUT_MS);
    const ignore = signal && onAbort(signal, end);
    try {
      return await holdLock(this.#nameOf(name), { mode: 'shared', signal: wait.signal });
    } catch (cause) {
      signal?.throwIfAborted();
      if (!wait.signal.aborted) throw cause;
      throw lockedImage(name, 'being changed', cause);
    } finally {
      clearTimeout(timer);
      ignore?.();
    }
  }

  /** Holds an image for reading when it is not being changed now; else null. */
  tryRead(name: string): Promise<Release | null> {
    return holdLock(this.#nameOf(name), { mode: 'shared', ifFree: true });
  }

  /**
   * Holds an image, or a name that is to become one, alone.
   *
   * @throws {@link Qcow2Error} `locked` when it is open and is not closed; the signal's reason
   */
  async change(name: string, { signal, lock }: LockWait = {}): Promise<Release> {
    const limit = lock === 'wait' ? Number.POSITIVE_INFINITY : IMAGE_TIMEOUT_MS;
    const release = await holdAlone(this.#nameOf(name), limit, signal);
    if (!release) throw lockedImage(name, 'open');
    return release;
  }

  /**
   * Carries out one change of the names in the folder, alone. This worker's changes come in the order of the calls, and
   * their time is not taken for that of another worker that does not end. `change` may take no lock.
   *
   * @throws {@link Qcow2Error} `locked` when another worker's change does not end; the signal's reason; what `change`
   *   throws
   */
  async changeNames<T>(signal: AbortSignal, change: () => Promise<T>): Promise<T> {
    const before = this.#changes;
    const changed = unlessAborted(before, signal).then(() => this.#changeAlone(signal, change));
    // One that is aborted while it waits keeps the next one behind those before it.
    this.#changes = changed.then(
      () => {},
      () => before,
    );
    return changed;
  }

  async #changeAlone<T>(signal: AbortSignal, change: () => Promise<T>): Promise<T> {
    const release = await holdInTurn(this.#scope, DIRECTORY_TIMEOUT_MS, signal);
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
