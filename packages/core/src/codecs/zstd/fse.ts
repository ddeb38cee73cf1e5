/** Owns the tables of Finite State Entropy, one of Zstandard's two entropy codes (RFC 8878, 4.1). */
import { bad, bitsAt, log2 } from './bits.js';

/** A decoding table: for each state its symbol, and the bits to read and the base to add for the state that follows. */
export interface FseTable {
  /** The table has `1 << accuracy` states. */
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** The table of a distribution: how many states each symbol has; -1 stands for one state that reads all its bits. */
export function fseTable(counts: ArrayLike<number>, accuracy: number): FseTable {
  const size = 1 << accuracy;
  const table = { accuracy, symbols: new Uint8Array(size), bits: new Uint8Array(size), bases: new Uint16Array(size) };
  const next = new Uint16Array(counts.length);
  let high = size - 1;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    if (counts[symbol] === -1) table.symbols[high--] = symbol;
    next[symbol] = Math.abs(counts[symbol]!);
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    for (let left = counts[symbol]!; left > 0; left--) {
      table.symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at > high);
    }
  }
  for (let state = 0; state < size; state++) {
    const rank = next[table.symbols[state]!]!++;
    const bits = accuracy - log2(rank);
    table.bits[state] = bits;
    table.bases[state] = (rank << bits) - size;
  }
  return table;
}

/** The table with one state, which gives one symbol and reads no bits. */
export function fseOfOne(symbol: number): FseTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

/**
 * Reads a table description from `from` on, and says where it ends.
 *
 * @throws Error when it runs past `to`, names a symbol past `most` or is more accurate than `mostAccurate`.
 */
export function readFse(
  bytes: Uint8Array,
  from: number,
  to: number,
  most: number,
  mostAccurate: number,
): { table: FseTable; end: number } {
  if (from >= to) bad('an entropy table is missing');
  const accuracy = (bytes[from]! & 15) + 5;
  if (accuracy > mostAccurate) bad('an entropy table is too accurate');
  const counts = new Int16Array(most + 1);
  let at = from * 8 + 4;
  let left = 1 << accuracy;
  let symbol = 0;
  while (left > 0) {
    if (symbol > most || at > to * 8) bad('an entropy table is damaged');
    // A count takes one of `left + 2` values, so some of them save a bit.
    const wide = log2(left + 1) + 1;
    const saving = (1 << wide) - 2 - left;
    const value = bitsAt(bytes, at, wide);
    const low = value & ((1 << (wide - 1)) - 1);
    const narrow = low < saving;
    at += narrow ? wide - 1 : wide;
    const count = (narrow ? low : value >= 1 << (wide - 1) ? value - saving : value) - 1;
    left -= Math.abs(count);
    counts[symbol++] = count;
    // After a symbol that does not occur stands how many more do not.
    for (let more = count === 0 ? 3 : 0; more === 3; at += 2) symbol += more = bitsAt(bytes, at, 2);
  }
  const end = (at + 7) >> 3;
  if (left < 0 || symbol > most + 1 || end > to) bad('an entropy table is damaged');
  return { table: fseTable(counts.subarray(0, symbol), accuracy), end };
}
