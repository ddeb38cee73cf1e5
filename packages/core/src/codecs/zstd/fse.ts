/** Builds and reads the tables of Finite State Entropy, one of Zstandard's two entropy codes (RFC 8878, 4.1). */
import { bad, bitsAt, log2 } from './bits.js';

/** A decoding table: for each state its symbol, and the number of bits and the baseline of the next state. */
export interface FseTable {
  /** The table has `1 << accuracy` states. */
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** Builds the table of a distribution: the number of states of each symbol. -1 is one state that reads all its bits. */
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

/** Returns a table with one state, which yields `symbol` and reads no bits. */
export function fseOfOne(symbol: number): FseTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

/**
 * Reads a table description at `from`. Returns the table and its end.
 *
 * @throws Error when it runs past `to`, contains a symbol over `max` or has an accuracy over `maxAccuracy`.
 */
export function readFse(
  bytes: Uint8Array,
  from: number,
  to: number,
  max: number,
  maxAccuracy: number,
): { table: FseTable; end: number } {
  if (from >= to) bad('an entropy table is missing');
  const accuracy = (bytes[from]! & 15) + 5;
  if (accuracy > maxAccuracy) bad('the accuracy of an entropy table is too high');
  const counts = new Int16Array(max + 1);
  let at = from * 8 + 4;
  let left = 1 << accuracy;
  let symbol = 0;
  while (left > 0) {
    if (symbol > max || at > to * 8) bad('an entropy table is damaged');
    // A count has one of `left + 2` values, so the smaller ones take one bit less.
    const wide = log2(left + 1) + 1;
    const saving = (1 << wide) - 2 - left;
    const value = bitsAt(bytes, at, wide);
    const low = value & ((1 << (wide - 1)) - 1);
    const narrow = low < saving;
    at += narrow ? wide - 1 : wide;
    const count = (narrow ? low : value >= 1 << (wide - 1) ? value - saving : value) - 1;
    left -= Math.abs(count);
    counts[symbol++] = count;
    // A count of zero is followed by the number of further zero counts.
    for (let more = count === 0 ? 3 : 0; more === 3; at += 2) symbol += more = bitsAt(bytes, at, 2);
  }
  const end = (at + 7) >> 3;
  if (left < 0 || symbol > max + 1 || end > to) bad('an entropy table is damaged');
  return { table: fseTable(counts.subarray(0, symbol), accuracy), end };
}
