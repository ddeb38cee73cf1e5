/** Iterates over the items of batches: the extents of a map, the ranges of a bitmap. */

/** A source of batches. `next` is not called again before it has settled. */
export interface Batches<Item> {
  next(): Promise<IteratorResult<Item[], unknown>>;
  /** Releases the source's resources; may be called while a `next` is pending. */
  return(): Promise<unknown>;
}

/** Opens the batches when the first item is requested. */
export type OpenBatches<Item> = () => Promise<Batches<Item>>;

/**
 * The items of batches, one by one. Written by hand because a generator that delegates costs Firefox microseconds for
 * each of perhaps a million items. As with a generator, concurrent calls of `next` are served in order, and after
 * `return` there are no items.
 */
export class BatchIterator<Item> implements AsyncIterableIterator<Item, undefined, undefined> {
  /** Null once the batches are open. */
  #open: OpenBatches<Item> | null = null;
  #batches: Batches<Item> | null = null;
  #batch: readonly Item[] = [];
  #at = 0;
  #ended = false;
  /** The last pending call; later calls wait for it. */
  #waiting: Promise<IteratorResult<Item, undefined>> | null = null;

  constructor(batches: Batches<Item> | OpenBatches<Item>) {
    if (typeof batches === 'function') this.#open = batches;
    else this.#batches = batches;
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

  /** Ends the iteration, and releases the batches. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#end();
    await this.#batches?.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #advance(): Promise<IteratorResult<Item, undefined>> {
    try {
      while (!this.#ended && this.#at >= this.#batch.length) await this.#load();
    } catch (error) {
      // After `return`, a failure to load more batches is ignored: there are no more items.
      const over = this.#ended;
      this.#end();
      if (!over) throw error;
    }
    if (this.#at >= this.#batch.length) return { done: true, value: undefined };
    return { done: false, value: this.#batch[this.#at++]! };
  }

  async #load(): Promise<void> {
    this.#batches ??= await this.#open!();
    // `return` was called before the batches were open, and could not release them.
    if (this.#ended) {
      await this.#batches.return();
      return;
    }
    const { done, value } = await this.#batches.next();
    if (this.#ended) return;
    if (done) {
      this.#end();
      return;
    }
    this.#at = 0;
    this.#batch = value;
  }

  #end(): void {
    this.#ended = true;
    this.#batch = [];
    this.#at = 0;
  }
}
