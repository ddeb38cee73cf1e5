/** A pool of buffers for requests: allocating one costs more than the read that fills it. */

/** Idle buffers in the pool: two concurrent requests are common, more are not. */
const MAX_IDLE = 2;

/** A pool of buffers. */
export class Scratch {
  readonly #idle: Uint8Array[] = [];

  /** A buffer of exactly `length` bytes, with undefined contents. */
  take(length: number): Uint8Array {
    const fitting = this.#idle.findIndex((buffer) => buffer.length >= length);
    const buffer = fitting < 0 ? new Uint8Array(length) : this.#idle.splice(fitting, 1)[0]!;
    return buffer.subarray(0, length);
  }

  /** Returns a buffer of {@link take} to the pool. */
  give(buffer: Uint8Array): void {
    if (this.#idle.length < MAX_IDLE) this.#idle.push(new Uint8Array(buffer.buffer as ArrayBuffer));
  }
}
