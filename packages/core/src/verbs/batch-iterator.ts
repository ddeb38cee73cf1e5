/** Owns the iterator that hands out one by one what comes in batches: the extents of a map, the ranges of a bitmap. */

/** A source of batches, opened when the first item is asked for. */
export type OpenBatches<Item> = () => Promise<AsyncGenerator<Item[], void, undefined>>;

/**
 * The items of batches, one by one. Written by hand because a generator that delegates costs Firefox microseconds for each
 * of perhaps a million items. Calls of `next` that come at once are answered in order.
 */
export class BatchIterator<Item> implements AsyncIterableIterator<Item, undefined, undefined> {
  readonly #open: OpenBatches<Item>;
  #batches: AsyncGenerator<Item[], void, undefined> | null = null;
  #batch: readonly Item[] = [];
  #at = 0;
  #ended = false;
  /** The last call that had to wait, while there is one: those behind it wait for it. */
  #waiting: Promise<IteratorResult<Item, undefined>> | null = null;

  constructor(open: OpenBatches<Item>) {
    this.#open = open;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#waiting === null && this.#at < this.#batch.length) {
      return Promise.resolve({ done: false, value: this.#batch[this.#at++]! });
    }
    const turn = (this.#waiting ?? Promise.resolve()).then(
      () => this.#advance(),
      () => this.#advance(),
    );
    const settle = () => {
      if (this.#waiting === turn) this.#waiting = null;
    };
    this.#waiting = turn;
    turn.then(settle, settle);
    return turn;
  }

  /** Ends the iteration, and lets go of what stands behind it. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#ended = true;
    this.#batch = [];
    await this.#batches?.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #advance(): Promise<IteratorResult<Item, undefined>> {
    try {
      while (!this.#ended && this.#at >= this.#batch.length) {
        this.#batches ??= await this.#open();
        const { done, value } = await this.#batches.next();
        this.#at = 0;
        this.#batch = value ?? [];
        this.#ended ||= done === true;
      }
    } catch (error) {
      this.#ended = true;
      throw error;
    }
    if (this.#at >= this.#batch.length) return { done: true, value: undefined };
    return { done: false, value: this.#batch[this.#at++]! };
  }
}
