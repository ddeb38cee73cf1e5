/** Owns the iteration over the extents that a cursor delivers page by page. */
import type { Extent } from 'qcow2';
import { unpackExtents } from './extent-page.js';
import type { RemoteCursor } from './remote-cursor.js';

/** An iterator written by hand: a generator would wait several times for each of what may be millions of extents. */
export class ExtentIterator implements AsyncIterableIterator<Extent> {
  readonly #cursor: RemoteCursor<Float64Array<ArrayBuffer> | null>;
  #page: Iterator<Extent, void, undefined> = [].values();
  /** Calls made while a page is on its way queue up here. */
  #turning: Promise<void> | null = null;
  #done = false;

  constructor(cursor: RemoteCursor<Float64Array<ArrayBuffer> | null>) {
    this.#cursor = cursor;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Extent, undefined>> {
    if (!this.#turning && !this.#done) {
      const item = this.#page.next();
      if (!item.done) return Promise.resolve(item);
    }
    return this.#nextOfLaterPage();
  }

  /** Ends the iteration early and frees the worker's side of it. */
  async return(): Promise<IteratorResult<Extent, undefined>> {
    this.#done = true;
    await this.#cursor.release();
    return { done: true, value: undefined };
  }

  async #nextOfLaterPage(): Promise<IteratorResult<Extent, undefined>> {
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
      if (packed) this.#page = unpackExtents(packed);
      else this.#done = true;
    } catch (error) {
      this.#done = true;
      throw error;
    } finally {
      this.#turning = null;
    }
  }
}
