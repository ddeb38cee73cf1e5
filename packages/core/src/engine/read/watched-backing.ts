/**
 * Watches the reads of the files behind an image that is written. Requests that were started before the image is closed
 * are carried out; but a web server may say nothing for minutes, and some sources have no timeout at all.
 */

import type { Done, Transfer } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { linkedAbort } from '../async/linked-abort.js';
import type { Backing, Layer } from '../layer/layer.js';

/**
 * How long one read of the files behind may take while the image is being closed: four looks, a quarter of a second
 * apart. Not one timer: where the thread was blocked that would end before the answers that came meanwhile are taken.
 */
const LOOK_MS = 250;
const MAX_LOOKS = 4;

/** One read that has not ended: how often it was looked at since closing began. */
interface Pending {
  looks: number;
}

/** The files behind an image that is written. */
export class WatchedBacking implements Backing {
  readonly layer: Layer;
  readonly #backing: Backing;
  readonly #pending = new Set<Pending>();
  readonly #givingUp = new AbortController();
  /** A read has returned a promise: others may. */
  #waits = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(backing: Backing) {
    this.layer = backing.layer;
    this.#backing = backing;
  }

  /** Aborts with the error `closed` when a read took too long while the image was being closed. */
  get signal(): AbortSignal {
    return this.#givingUp.signal;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    this.signal.throwIfAborted();
    // What is read at once is not waited for, and a signal of its own would cost as much as the read.
    if (!this.#waits && this.layer.source.waited === false) return this.#watched(this.#backing.read(transfers, signal));
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

  /** The image is being closed: gives up, and calls `onGivingUp`, when one read takes too long from now on. */
  startClosing(onGivingUp: (reason: unknown) => void): void {
    const look = (): void => {
      for (const pending of this.#pending) pending.looks++;
      if ([...this.#pending].some(({ looks }) => looks > MAX_LOOKS)) giveUp();
      else this.#timer = setTimeout(look, LOOK_MS);
    };
    const giveUp = (): void => {
      this.endClosing();
      const message = 'The image was closed while it waited for a file behind it, which did not answer.';
      this.#givingUp.abort(new Qcow2Error('closed', message, { what: 'backing file' }));
      onGivingUp(this.signal.reason);
    };
    this.#timer = setTimeout(look, LOOK_MS);
  }

  /** The image is closed: nothing is waited for any more. */
  endClosing(): void {
    clearTimeout(this.#timer);
  }

  /** Counts a read among those that have not ended. */
  #watched(done: Done): Done {
    if (done === undefined) return;
    this.#waits = true;
    const pending = { looks: 0 };
    this.#pending.add(pending);
    return done.finally(() => this.#pending.delete(pending));
  }
}
