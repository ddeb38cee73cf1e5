/** Reads bits at a bit position, little-endian, as in Zstandard's bit streams (RFC 8878, 4). */

/** Throws the error of an invalid stream. The codec converts it to a `Qcow2Error` with the cluster's offset. */
export function bad(reason: string): never {
  throw new Error(reason);
}

/**
 * Returns `count` bits, at most 25, the lowest of which is at the bit position `at`. Bits past the end are zeros;
 * callers compare their position with the end.
 */
export function bitsAt(bytes: Uint8Array, at: number, count: number): number {
  const byte = at >> 3;
  const word = bytes[byte]! | (bytes[byte + 1]! << 8) | (bytes[byte + 2]! << 16) | (bytes[byte + 3]! << 24);
  return (word >>> (at & 7)) & ((1 << count) - 1);
}

/** Index of the highest bit that is set. */
export function log2(value: number): number {
  return 31 - Math.clz32(value);
}

/**
 * Returns the bit position after the last bit of a stream that is read backwards from `to`. A set bit in its last byte
 * marks the end.
 */
export function endOfBits(bytes: Uint8Array, from: number, to: number): number {
  const last = to > from ? bytes[to - 1]! : 0;
  if (last === 0) bad('a bit stream has no end mark');
  return (to - 1) * 8 + log2(last);
}

/**
 * A bit stream that is read from its end to its start. Reading past its start is detected only by {@link left}, so that
 * hot loops test once for many reads.
 */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  #at: number;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes;
    this.#start = from * 8;
    this.#at = endOfBits(bytes, from, to);
  }

  /** Number of bits left; negative when more bits were taken than there were. */
  get left(): number {
    return this.#at - this.#start;
  }

  /** Takes the next `count` bits, at most 25. */
  take(count: number): number {
    this.#at -= count;
    return bitsAt(this.#bytes, this.#at, count);
  }
}
