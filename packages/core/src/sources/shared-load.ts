/** Owns work that several wait for: it goes on while one of them still wants it, and is aborted when the last has gone. */
import type { Done } from '../io/device.js';
import { settled } from '../io/done.js';

/** One load, begun when it is made. */
export class SharedLoad {
  readonly #controller = new AbortController();
  readonly #work: Promise<void>;
  readonly #abandoned: () => void;
  #waiting = 0;
  #over = false;

  /**
   * @param start begins the work
   * @param abandoned called when everybody who waited has gone before the end
   */
  constructor(start: (signal: AbortSignal) => Done, abandoned: () => void) {
    this.#abandoned = abandoned;
    this.#work = (async () => {
      try {
        await start(this.#controller.signal);
      } finally {
        this.#over = true;
      }
    })();
    // Those who wait report it; nobody may be left.
    this.#work.catch(() => {});
  }

  /**
   * Waits for the end, or for the caller's own abort.
   *
   * @throws what the work threw; the signal's reason
   */
  async wait(signal: AbortSignal | undefined): Promise<void> {
    this.#waiting++;
    try {
      await settled(this.#work, signal);
    } finally {
      this.#waiting--;
      if (this.#waiting === 0 && !this.#over) {
        this.#abandoned();
        this.#controller.abort();
      }
    }
  }
}
