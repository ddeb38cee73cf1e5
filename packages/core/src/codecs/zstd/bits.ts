/** Owns the reading of bits: little-endian, at a bit position, as Zstandard's bit streams want them (RFC 8878, 4). */

/** The one way in which decoding stops early; the codec gives it its place and its type. */
export function bad(reason: string): never {
  throw new Error(reason);
}

/**
 * `count` bits, at most 25, of which the lowest stands at the bit position `at`. Beyond the bytes there are zeros: who
 * reads there has an end to compare its position with.
 */
export function bitsAt(bytes: Uint8Array, at: number, count: number): number {
  const byte = at >> 3;
  const word = bytes[byte]! | (bytes[byte + 1]! << 8) | (bytes[byte + 2]! << 16) | (bytes[byte + 3]! << 24);
  return (word >>> (at & 7)) & ((1 << count) - 1);
}

/** The number of bits below the highest one that is set. */
export function log2(value: number): number {
  return 31 - Math.clz32(value);
}

/**
 * The position behind the last bit of a stream that is read backwards from `to`: its last byte has a 1 on top of them.
 */
export function endOfBits(bytes: Uint8Array, from: number, to: number): number {
  const last = to > from ? bytes[to - 1]! : 0;
  if (last === 0) bad('a bit stream has no end mark');
  return (to - 1) * 8 + log2(last);
}

/**
 * A stream that is read from its end to its start. Whoever reads past its start is told so only when asking {@link
 * left}, so that the hot loop asks once for many reads.
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

  /** How many bits there are still; below 0 when more were taken than there were. */
  get left(): number {
    return this.#at - this.#start;
  }

  /** The next `count` bits, at most 25. */
  take(count: number): number {
    this.#at -= count;
    return bitsAt(this.#bytes, this.#at, count);
  }
}
