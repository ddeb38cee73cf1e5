/** Decodes the tables and streams of Huffman codes, the other of Zstandard's entropy codes (RFC 8878, 4.2). */
import { BackwardBits, bad, endOfBits, log2 } from './bits.js';
import { readFse } from './fse.js';

/** Maximum length of a code, bits. */
const MAX_BITS = 11;
/** A table has at most 255 weights; the weight of the last symbol follows from the others. */
const MAX_WEIGHTS = 255;
/** Maximum accuracy of the FSE table of the weights. */
const MAX_WEIGHT_ACCURACY = 6;

/** A decoding table: the symbol and the length of its code, for every value of the next `maxBits` bits. */
export interface HuffmanTable {
  readonly maxBits: number;
  readonly symbols: Uint8Array;
  readonly lengths: Uint8Array;
}

/**
 * Reads a table description at `from`. Returns the table and its end.
 *
 * @throws Error when it is invalid or runs past `to`.
 */
export function readHuffman(bytes: Uint8Array, from: number, to: number): { table: HuffmanTable; end: number } {
  if (from >= to) bad('a Huffman table is missing');
  const head = bytes[from]!;
  const weights = new Uint8Array(MAX_WEIGHTS + 1);
  const end = from + 1 + (head < 128 ? head : (head - 126) >> 1);
  if (end > to) bad('a Huffman table is cut short');
  let count = head - 127;
  if (head < 128) count = readWeights(bytes, from + 1, end, weights);
  else for (let i = 0; i < count; i++) weights[i] = (bytes[from + 1 + (i >> 1)]! >> (i & 1 ? 0 : 4)) & 15;
  return { table: huffmanTable(weights, count), end };
}

/** Decodes FSE-coded weights, with two interleaved states. Returns their number. */
function readWeights(bytes: Uint8Array, from: number, to: number, weights: Uint8Array): number {
  const { table, end } = readFse(bytes, from, to, MAX_WEIGHTS, MAX_WEIGHT_ACCURACY);
  const stream = new BackwardBits(bytes, end, to);
  const states: [number, number] = [stream.take(table.accuracy), stream.take(table.accuracy)];
  if (stream.left < 0) bad('a Huffman table is cut short');
  let count = 0;
  for (let current: 0 | 1 = 0; ; current = current === 0 ? 1 : 0) {
    // At most two more can follow. Without this limit, states that read no bits would loop for ever.
    if (count > MAX_WEIGHTS - 2) bad('a Huffman table has too many weights');
    const state = states[current];
    weights[count++] = table.symbols[state]!;
    const bits = table.bits[state]!;
    if (stream.left < bits) {
      weights[count++] = table.symbols[states[current === 0 ? 1 : 0]]!;
      return count;
    }
    states[current] = table.bases[state]! + stream.take(bits);
  }
}

function huffmanTable(weights: Uint8Array, count: number): HuffmanTable {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    if (weights[i]! > MAX_BITS) bad('a Huffman code is too long');
    sum += weights[i] === 0 ? 0 : 1 << (weights[i]! - 1);
  }
  if (sum === 0) bad('a Huffman table has no codes');
  const maxBits = log2(sum) + 1;
  const left = (1 << maxBits) - sum;
  if (maxBits > MAX_BITS || (left & (left - 1)) !== 0) bad('the codes of a Huffman table do not add up');
  weights[count] = log2(left) + 1;
  const symbols = new Uint8Array(1 << maxBits);
  const lengths = new Uint8Array(1 << maxBits);
  let at = 0;
  for (let weight = 1; weight <= maxBits; weight++) {
    for (let symbol = 0; symbol <= count; symbol++) {
      if (weights[symbol] !== weight) continue;
      const end = at + (1 << (weight - 1));
      symbols.fill(symbol, at, end);
      lengths.fill(maxBits + 1 - weight, at, end);
      at = end;
    }
  }
  return { maxBits, symbols, lengths };
}

/**
 * Fills `into` from one stream, `[from, to)` of `bytes`, which is read backwards.
 *
 * @throws Error when the stream does not contain exactly `into.length` symbols.
 */
export function decodeHuffman(
  table: HuffmanTable,
  bytes: Uint8Array,
  from: number,
  to: number,
  into: Uint8Array,
): void {
  const { maxBits, symbols, lengths } = table;
  const start = from * 8;
  const mask = (1 << maxBits) - 1;
  let at = endOfBits(bytes, from, to);
  for (let i = 0; i < into.length; i++) {
    // The last lookups extend below the stream's start; those extra bits do not affect the result.
    const low = at - maxBits;
    const byte = low >> 3;
    const code = ((bytes[byte]! | (bytes[byte + 1]! << 8) | (bytes[byte + 2]! << 16)) >> (low & 7)) & mask;
    into[i] = symbols[code]!;
    at -= lengths[code]!;
    if (at < start) bad('a Huffman stream is cut short');
  }
  if (at !== start) bad('a Huffman stream is too long');
}
