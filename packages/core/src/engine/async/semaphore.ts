/** Owns how much is under way at once: work beyond the bound waits for its turn, in the order in which it came. */
import { onAbort } from './on-abort.js';

/** A number of places, each taken by one piece of work at a time. */
export class Semaphore {
  #free: number;
  readonly #waiting: Set<() => void> = new Set();

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Does `work` when there is a place.
   *
   * @throws the signal's reason when it aborts before that; what the work throws
   */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        ignore();
        resolve();
      };
      const stop = () => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      this.#waiting.add(enter);
      const ignore = onAbort(signal, stop);
    });
  }

  /** Gives the place to who waits longest. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free++;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
