/**
 * Limits how long reads of the backing chain may delay the close of a written image. Requests that were started before
 * the close are carried out; but a web server may not respond for minutes, and some sources have no timeout.
 */

import type { Done, Transfer } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { linkedAbort } from '../async/linked-abort.js';
import type { Backing, Layer } from '../layer/layer.js';

/**
 * How long one read of the backing chain may take while the image is being closed: four checks, a quarter of a second
 * apart. A single timer would fire first after the thread was blocked, before the responses that arrived meanwhile are
 * processed.
 */
const CHECK_INTERVAL_MS = 250;
const MAX_CHECKS = 4;

/** A read that has not ended, and how many checks it has outlasted since closing began. */
interface Pending {
  checks: number;
}

/** The backing chain of an image that is written. */
export class WatchedBacking implements Backing {
  readonly layer: Layer;
  readonly #backing: Backing;
  readonly #pending = new Set<Pending>();
  readonly #timeout = new AbortController();
  /** True once a read has returned a promise. */
  #isAsynchronous = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(backing: Backing) {
    this.layer = backing.layer;
    this.#backing = backing;
  }

  /** Aborts with the error `closed` when a read took too long while the image was being closed. */
  get signal(): AbortSignal {
    return this.#timeout.signal;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    this.signal.throwIfAborted();
    // A synchronous read cannot be aborted, and a linked signal would cost as much as the read.
    if (!this.#isAsynchronous && this.layer.source.waited === false)
      return this.#watched(this.#backing.read(transfers, signal));
    const link = linkedAbort(this.signal, signal);
    try {
      const done = this.#watched(this.#backing.read(transfers, link.signal));
      if (done === undefined) link.release();
      return done?.finally(link.release);
    } catch (error) {
      link.release();
      throw error;
    }
  }

  within<T>(items: AsyncIterable<T>, signal?: AbortSignal): AsyncIterable<T> {
    return this.#backing.within(items, signal);
  }

  /**
   * Starts the checks, as the image is being closed. If one read takes too long from now on, aborts all, and calls
   * `onTimeout`.
   */
  startClosing(onTimeout: (reason: unknown) => void): void {
    const check = (): void => {
      for (const pending of this.#pending) pending.checks++;
      if ([...this.#pending].some(({ checks }) => checks > MAX_CHECKS)) abortReads();
      else this.#timer = setTimeout(check, CHECK_INTERVAL_MS);
    };
    const abortReads = (): void => {
      this.endClosing();
      const message = 'The image was closed during a read of its backing file, which took too long.';
      this.#timeout.abort(new Qcow2Error('closed', message, { what: 'backing file' }));
      onTimeout(this.signal.reason);
    };
    this.#timer = setTimeout(check, CHECK_INTERVAL_MS);
  }

  /** Ends the checks: the image is closed. */
  endClosing(): void {
    clearTimeout(this.#timer);
  }

  /** Tracks a read until it ends. */
  #watched(done: Done): Done {
    if (done === undefined) return;
    this.#isAsynchronous = true;
    const pending = { checks: 0 };
    this.#pending.add(pending);
    return done.finally(() => this.#pending.delete(pending));
  }
}
