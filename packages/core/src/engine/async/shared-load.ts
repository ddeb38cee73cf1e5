/**
 * Shares one load among several callers: it continues while at least one waits, and is aborted when the last has
 * aborted.
 */
import type { Done } from '../../api/device.js';
import { asPromise, settled } from './done.js';

/** A load, started by the constructor. */
export class SharedLoad {
  readonly #controller = new AbortController();
  readonly #work: Promise<void> | null;
  readonly #closed: () => void;
  #waiting = 0;
  #ended = false;

  /**
   * @param start starts the work
   * @param closed called when no other caller may join: at the end, and when all callers have aborted before it. Not
   *   called for work that ended or failed synchronously
   * @throws what `start` throws
   */
  constructor(start: (signal: AbortSignal) => Done, closed: () => void) {
    this.#closed = closed;
    const done = asPromise(start(this.#controller.signal));
    this.#ended = done === undefined;
    this.#work =
      done?.finally(() => {
        this.#ended = true;
        closed();
      }) ?? null;
    // The waiting callers report a failure; there may be none left.
    this.#work?.catch(() => {});
  }

  /** True if the work has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Waits for the end, or for the caller's own abort.
   *
   * @throws what the work threw; the signal's reason
   */
  async wait(signal: AbortSignal | undefined): Promise<void> {
    this.#waiting++;
    try {
      if (this.#work !== null) await settled(this.#work, signal);
    } finally {
      this.#waiting--;
      if (this.#waiting === 0 && !this.#ended) {
        this.#closed();
        this.#controller.abort();
      }
    }
  }
}
