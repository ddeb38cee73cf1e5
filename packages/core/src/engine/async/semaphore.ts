/** Limits how much work runs at once: the rest waits in a queue, first in, first out. */
import { onAbort } from './on-abort.js';

/** A semaphore with a queue. */
export class Semaphore {
  #free: number;
  readonly #waiting: Set<() => void> = new Set();

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Runs `work` when a place is free.
   *
   * @throws the signal's reason when it aborts before that; what the work throws
   */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        removeListener();
        resolve();
      };
      const stop = () => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      this.#waiting.add(enter);
      const removeListener = onAbort(signal, stop);
    });
  }

  /** Passes the place on to the first in the queue. */
  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free++;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
