/** Reuses the buffers transferred between page and worker: a new one costs several times the read it is for. */

/** Smallest buffer. Sizes are powers of two of it, so that one buffer fits requests of many lengths. Bytes. */
const MIN_BUFFER_BYTES = 64 * 1024;
/** From this size on, sizes are multiples of it: doubling a large buffer wastes too much. Bytes. */
const LARGE_BUFFER_BYTES = 1024 * 1024;

/** The size of a buffer for `length` bytes. */
export function roundedLength(length: number): number {
  if (length >= LARGE_BUFFER_BYTES) return Math.ceil(length / LARGE_BUFFER_BYTES) * LARGE_BUFFER_BYTES;
  let rounded = MIN_BUFFER_BYTES;
  while (rounded < length) rounded *= 2;
  return rounded;
}

/** Spare buffers on the page, transferred to the worker with the next request that they fit. */
export class BufferPool {
  #spares: ArrayBuffer[] = [];
  #bytes = 0;
  readonly #limit: number;

  /** @param limit the most bytes of spare buffers; more than that are dropped */
  constructor(limit: number = 32 * LARGE_BUFFER_BYTES) {
    this.#limit = limit;
  }

  /** Total size of the spare buffers, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The smallest spare of at least `length` bytes, or undefined when the worker must allocate one. */
  take(length: number): ArrayBuffer | undefined {
    let best = -1;
    for (const [index, spare] of this.#spares.entries()) {
      if (spare.byteLength >= length && (best < 0 || spare.byteLength < this.#spares[best]!.byteLength)) best = index;
    }
    if (best < 0) return undefined;
    const [spare] = this.#spares.splice(best, 1);
    this.#bytes -= spare!.byteLength;
    return spare;
  }

  /** Adds a buffer whose bytes have been copied out. The oldest spares are dropped to make room. */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength === 0 || buffer.byteLength > this.#limit) return;
    this.#spares.push(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > this.#limit) this.#bytes -= this.#spares.shift()!.byteLength;
  }
}
