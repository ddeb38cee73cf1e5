/** Owns the locks of a store's images, over every tab and worker of the origin: readers share, and who changes one is alone. */
import { Qcow2Error } from 'qcow2';
import { holdLock, type Release } from './web-lock.js';

/** How long an image is waited for: a tab that crashed can hold its locks for a second or two. Milliseconds. */
const PATIENCE = 2000;

/** The locks of one folder's images. */
export class ImageLocks {
  readonly #scope: string;

  /** @param scope tells this folder from others of the origin */
  constructor(scope: string) {
    this.#scope = `qcow2-opfs ${scope}`;
  }

  /**
   * Holds an image for reading.
   *
   * @throws {@link Qcow2Error} `locked` when somebody changes it and does not end; the signal's reason
   */
  read(name: string, signal?: AbortSignal): Promise<Release> {
    return this.#hold(name, 'shared', signal);
  }

  /** Holds an image for reading when nobody changes it now; else null. */
  tryRead(name: string): Promise<Release | null> {
    return holdLock(this.#nameOf(name), { mode: 'shared', ifFree: true });
  }

  /**
   * Holds an image, or a name that is to become one, against everybody else.
   *
   * @throws {@link Qcow2Error} `locked` when somebody has it open and does not close it; the signal's reason
   */
  change(name: string, signal?: AbortSignal): Promise<Release> {
    return this.#hold(name, 'exclusive', signal);
  }

  /** Holds the folder for one change of the names in it. Never for long, so nobody waits long. */
  directory(signal?: AbortSignal): Promise<Release> {
    return holdLock(this.#scope, { signal });
  }

  async #hold(name: string, mode: LockMode, signal: AbortSignal | undefined): Promise<Release> {
    signal?.throwIfAborted();
    const wait = new AbortController();
    const onAbort = (): void => wait.abort();
    const timer = setTimeout(onAbort, PATIENCE);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await holdLock(this.#nameOf(name), { mode, signal: wait.signal });
    } catch (cause) {
      signal?.throwIfAborted();
      if (!wait.signal.aborted) throw cause;
      const holder = mode === 'shared' ? 'being changed' : 'open';
      const message = `"${name}" is ${holder} in this or another tab. Close it there and try again.`;
      throw new Qcow2Error('locked', message, { name }, { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #nameOf(image: string): string {
    return `${this.#scope}/${image}`;
  }
}
