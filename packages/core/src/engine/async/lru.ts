/** A cache of the most recently used values, up to a number of them. */

/** Values by their key; the least recently used is evicted first. */
export class Lru<Key, Value> {
  readonly #max: number;
  /** In the order of use: a Map keeps the order of insertion, and `get` inserts the value anew. */
  readonly #values = new Map<Key, Value>();

  /** `max` is the number of values, at least one. */
  constructor(max: number) {
    this.#max = Math.max(1, max);
  }

  /** True if a value is in the cache; does not count as a use of it. */
  has(key: Key): boolean {
    return this.#values.has(key);
  }

  get(key: Key): Value | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) {
      this.#values.delete(key);
      this.#values.set(key, value);
    }
    return value;
  }

  set(key: Key, value: Value): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= this.#max) return;
    for (const oldest of this.#values.keys()) {
      this.#values.delete(oldest);
      return;
    }
  }

  delete(key: Key): void {
    this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
  }
}
