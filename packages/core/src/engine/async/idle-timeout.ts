/** An idle timeout: ends a transfer when nothing is received any more. */

/** It starts at construction; each call of {@link restart} starts it anew. */
export class IdleTimeout {
  readonly #limit: number;
  readonly #onTimeout: () => void;
  #timer: ReturnType<typeof setTimeout>;

  /** Calls `onTimeout` once, when `limit` ms have passed without a restart. */
  constructor(limit: number, onTimeout: () => void) {
    this.#limit = limit;
    this.#onTimeout = onTimeout;
    this.#timer = setTimeout(onTimeout, limit);
  }

  /** Starts the time anew: something was received. */
  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onTimeout, this.#limit);
  }

  /** Stops the timer. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
