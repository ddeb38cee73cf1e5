/** Owns the buffers that requests borrow, because a fresh one costs more than the read that fills it. */

/** How many idle buffers are kept: two requests in flight at once are common, more are not. */
const KEPT = 2;

/** Buffers to borrow and give back. */
export class Scratch {
  readonly #idle: Uint8Array[] = [];

  /** A buffer of exactly `length` bytes, with anything in it. */
  take(length: number): Uint8Array {
    const fitting = this.#idle.findIndex((buffer) => buffer.length >= length);
    const buffer = fitting < 0 ? new Uint8Array(length) : this.#idle.splice(fitting, 1)[0]!;
    return buffer.subarray(0, length);
  }

  /** Gives back a buffer that {@link take} lent. */
  give(buffer: Uint8Array): void {
    if (this.#idle.length < KEPT) this.#idle.push(new Uint8Array(buffer.buffer as ArrayBuffer));
  }
}
