/** Owns the iteration over what a cursor delivers page by page: extents, or ranges. */
import type { RemoteCursor } from './remote-cursor.js';

/** An iterator written by hand: a generator would wait several times for each of what may be millions of extents. */
export class PageIterator<Item> implements AsyncIterableIterator<Item> {
  readonly #cursor: RemoteCursor<Float64Array<ArrayBuffer> | null>;
  readonly #unpack: (packed: Float64Array) => Iterator<Item, void, undefined>;
  #page: Iterator<Item, void, undefined> = [].values();
  /** Calls made while a page is on its way queue up here. */
  #turning: Promise<void> | null = null;
  #done = false;

  constructor(
    cursor: RemoteCursor<Float64Array<ArrayBuffer> | null>,
    unpack: (packed: Float64Array) => Iterator<Item, void, undefined>,
  ) {
    this.#cursor = cursor;
    this.#unpack = unpack;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (!this.#turning && !this.#done) {
      const item = this.#page.next();
      if (!item.done) return Promise.resolve(item);
    }
    return this.#nextOfLaterPage();
  }

  /** Ends the iteration early and frees the worker's side of it. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#done = true;
    await this.#cursor.release();
    return { done: true, value: undefined };
  }

  async #nextOfLaterPage(): Promise<IteratorResult<Item, undefined>> {
    while (!this.#done) {
      this.#turning ??= this.#turn();
      await this.#turning;
      const item = this.#page.next();
      if (!item.done) return item;
    }
    return { done: true, value: undefined };
  }

  async #turn(): Promise<void> {
    try {
      const packed = await this.#cursor.next();
      if (packed) this.#page = this.#unpack(packed);
      else this.#done = true;
    } catch (error) {
      this.#done = true;
      throw error;
    } finally {
      this.#turning = null;
    }
  }
}
