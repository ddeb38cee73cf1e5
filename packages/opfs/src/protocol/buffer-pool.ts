/** Owns the buffers that travel between page and worker: a fresh one costs several times the read it is for. */

/** Buffers are made in powers of two from here, so that one serves requests of many lengths. Bytes. */
const SMALLEST = 64 * 1024;
/** From here in multiples instead: doubling a large buffer wastes too much. Bytes. */
const LARGE = 1024 * 1024;

/** How long a buffer for `length` bytes is made. */
export function roundedLength(length: number): number {
  if (length >= LARGE) return Math.ceil(length / LARGE) * LARGE;
  let rounded = SMALLEST;
  while (rounded < length) rounded *= 2;
  return rounded;
}

/** Spare buffers on the page, handed to the worker with the next request that they fit. */
export class BufferPool {
  #spares: ArrayBuffer[] = [];
  #held = 0;
  readonly #limit: number;

  /** @param limit how many bytes of spare buffers are kept at most; what comes back beyond that is dropped */
  constructor(limit: number = 32 * LARGE) {
    this.#limit = limit;
  }

  /** Bytes of the spares now held. */
  get held(): number {
    return this.#held;
  }

  /** The smallest spare of at least `length` bytes, or undefined when the worker must make one. */
  take(length: number): ArrayBuffer | undefined {
    let best = -1;
    for (const [index, spare] of this.#spares.entries()) {
      if (spare.byteLength >= length && (best < 0 || spare.byteLength < this.#spares[best]!.byteLength)) best = index;
    }
    if (best < 0) return undefined;
    const [spare] = this.#spares.splice(best, 1);
    this.#held -= spare!.byteLength;
    return spare;
  }

  /** Takes back a buffer whose bytes have been copied out. The oldest spares give way to it. */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength === 0 || buffer.byteLength > this.#limit) return;
    this.#spares.push(buffer);
    this.#held += buffer.byteLength;
    while (this.#held > this.#limit) this.#held -= this.#spares.shift()!.byteLength;
  }
}
