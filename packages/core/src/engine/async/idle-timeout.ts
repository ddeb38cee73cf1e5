/** Owns the patience with somebody who says nothing. */

/** Counts from when it is made, and anew from each word that is heard. */
export class Patience {
  readonly #limit: number;
  readonly #onSpent: () => void;
  #timer: ReturnType<typeof setTimeout>;

  /** Calls `onSpent` once, when nothing was heard for `limit` ms. */
  constructor(limit: number, onSpent: () => void) {
    this.#limit = limit;
    this.#onSpent = onSpent;
    this.#timer = setTimeout(onSpent, limit);
  }

  /** Something was said. */
  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onSpent, this.#limit);
  }

  /** Nothing more is waited for. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
