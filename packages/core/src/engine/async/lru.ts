/** Keeps the values that were used last, up to a number of them. */

/** Values by their key; the one used longest ago leaves first. */
export class Lru<Key, Value> {
  readonly #max: number;
  /** In the order of use: a Map keeps that of insertion, and what is used is inserted anew. */
  readonly #values = new Map<Key, Value>();

  /** `max` is how many are kept, at least one. */
  constructor(max: number) {
    this.#max = Math.max(1, max);
  }

  /** Whether a value is kept; this is no use of it. */
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
