/** Orders the requests on one image: readers share the lock, a writer has it alone, first come, first served. */
import { isPromise } from './done.js';
import { onAbort } from './on-abort.js';

/** A waiting request, and the function that grants it the lock. */
interface Waiting {
  readonly exclusive: boolean;
  readonly grant: () => void;
}

/** A FIFO read/write lock that costs nothing when it is free: synchronous work is then done before the call returns. */
export class RwLock {
  #readers = 0;
  #writing = false;
  readonly #queue: Waiting[] = [];
  /** How often {@link abandonReaders} was called, and its last reason. */
  #abandonCount = 0;
  #reason: unknown;

  /** True if the lock is free and its queue is empty. */
  get idle(): boolean {
    return this.#readers === 0 && !this.#writing && this.#queue.length === 0;
  }

  /** True if a reader would have to wait. */
  get busy(): boolean {
    return this.#writing || this.#queue.length > 0;
  }

  /** Runs `work` with the shared lock. An abort ends the wait for the lock. */
  reading<T>(work: () => T | Promise<T>, signal?: AbortSignal): T | Promise<T> {
    if (!this.busy) {
      this.#readers++;
      return this.#holding(work, false);
    }
    return this.#wait(false, signal).then(() => this.#holding(work, false));
  }

  /** Runs `work` with the exclusive lock. */
  writing<T>(work: () => T | Promise<T>): T | Promise<T> {
    if (this.idle) {
      this.#writing = true;
      return this.#holding(work, true);
    }
    return this.#wait(true).then(() => this.#holding(work, true));
  }

  /**
   * Takes the lock away from its readers, which may never end. They may still fill their buffers, but a writer can
   * change the image meanwhile, so they reject with `reason` when they end.
   */
  abandonReaders(reason: unknown): void {
    this.#abandonCount++;
    this.#reason = reason;
    this.#readers = 0;
    this.#next();
  }

  /** Runs `work` with the lock, and releases the lock when the work has ended or failed. */
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
    const abandonCount = this.#abandonCount;
    return result.then(
      (value) => {
        if (abandonCount !== this.#abandonCount) throw this.#reason;
        this.#end(false);
        return value;
      },
      (error) => {
        if (abandonCount === this.#abandonCount) this.#end(false);
        throw error;
      },
    );
  }

  #wait(exclusive: boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        exclusive,
        grant: () => {
          removeListener?.();
          resolve();
        },
      };
      const abort = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1);
        reject(signal?.reason);
        this.#next();
      };
      const removeListener = signal && onAbort(signal, abort);
      this.#queue.push(waiting);
    });
  }

  #end(exclusive: boolean): void {
    if (exclusive) this.#writing = false;
    else this.#readers--;
    this.#next();
  }

  /** Grants the lock to the first requests of the queue, as far as it allows. */
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
