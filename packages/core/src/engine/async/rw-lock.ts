/** Owns the order of requests on one image: readers share, a writer is alone, and who came first goes first. */
import { isPromise } from './done.js';
import { onAbort } from './on-abort.js';

/** A waiting request, and how it learns that it may go. */
interface Waiting {
  readonly exclusive: boolean;
  readonly grant: () => void;
}

/**
 * A FIFO read/write lock that costs nothing when it is free: work that need not wait is done before the call returns.
 */
export class RwLock {
  #readers = 0;
  #writing = false;
  readonly #queue: Waiting[] = [];
  /** How often readers were left, and why last. */
  #leavings = 0;
  #reason: unknown;

  /** Whether nobody holds or waits for the lock. */
  get idle(): boolean {
    return this.#readers === 0 && !this.#writing && this.#queue.length === 0;
  }

  /** Whether a reader would have to wait. */
  get busy(): boolean {
    return this.#writing || this.#queue.length > 0;
  }

  /** Runs `work` beside other readers. An abort ends the wait for the lock. */
  reading<T>(work: () => T | Promise<T>, signal?: AbortSignal): T | Promise<T> {
    if (!this.busy) {
      this.#readers++;
      return this.#holding(work, false);
    }
    return this.#wait(false, signal).then(() => this.#holding(work, false));
  }

  /** Runs `work` alone. */
  writing<T>(work: () => T | Promise<T>): T | Promise<T> {
    if (this.idle) {
      this.#writing = true;
      return this.#holding(work, true);
    }
    return this.#wait(true).then(() => this.#holding(work, true));
  }

  /**
   * Takes the lock from the readers that hold it. Their buffers are theirs until they end, which may be never; since
   * something may change under them they reject with `reason` then.
   */
  leaveReaders(reason: unknown): void {
    this.#leavings++;
    this.#reason = reason;
    this.#readers = 0;
    this.#next();
  }

  /** Runs `work` with the lock held, and lets go of it when the work has ended, however that may be. */
  #holding<T>(work: () => T | Promise<T>, exclusive: boolean): T | Promise<T> {
    let result: T | Promise<T>;
    try {
      result = work();
    } catch (error) {
      this.#end(exclusive);
      throw error;
    }
    if (!isPromise(result)) {
      this.#end(exclusive);
      return result;
    }
    if (exclusive) return result.finally(() => this.#end(exclusive));
    const leavings = this.#leavings;
    return result.then(
      (value) => {
        if (leavings !== this.#leavings) throw this.#reason;
        this.#end(false);
        return value;
      },
      (error) => {
        if (leavings === this.#leavings) this.#end(false);
        throw error;
      },
    );
  }

  #wait(exclusive: boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        exclusive,
        grant: () => {
          ignore?.();
          resolve();
        },
      };
      const abort = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1);
        reject(signal?.reason);
        this.#next();
      };
      const ignore = signal && onAbort(signal, abort);
      this.#queue.push(waiting);
    });
  }

  #end(exclusive: boolean): void {
    if (exclusive) this.#writing = false;
    else this.#readers--;
    this.#next();
  }

  /** Lets in whoever may go now, in the order of arrival. */
  #next(): void {
    for (;;) {
      const first = this.#queue[0];
      if (first === undefined || this.#writing || (first.exclusive && this.#readers > 0)) return;
      this.#queue.shift();
      if (first.exclusive) this.#writing = true;
      else this.#readers++;
      first.grant();
    }
  }
}
