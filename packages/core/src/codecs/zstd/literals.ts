/** Decodes the literals section of a compressed block: the bytes that its sequences copy (RFC 8878, 3.1.1.3.1). */
import { bad } from './bits.js';
import { decodeHuffman, type HuffmanTable, readHuffman } from './huffman.js';

/** The literals of a block, the Huffman table that later blocks may reuse, and the end of the section. */
export interface Literals {
  readonly bytes: Uint8Array;
  readonly table: HuffmanTable | null;
  readonly end: number;
}

/**
 * Reads the section at `from`. Literals are decoded into `scratch`, whose length limits them.
 *
 * @throws Error when it is invalid or runs past `to`.
 */
export function readLiterals(
  bytes: Uint8Array,
  from: number,
  to: number,
  table: HuffmanTable | null,
  scratch: Uint8Array,
): Literals {
  const head = bytes[from]!;
  const format = (head >> 2) & 3;
  if ((head & 3) >= 2) return readCoded(bytes, from, to, (head & 3) === 2 ? null : table, scratch);
  // The size is in the header above its lowest 3 or 4 bits.
  const headBytes = format === 3 ? 3 : format === 1 ? 2 : 1;
  const start = from + headBytes;
  const repeated = (head & 3) === 1;
  if (start + (repeated ? 1 : 0) > to) bad('its literals are cut short');
  const size =
    headBytes === 1
      ? head >> 3
      : (head >> 4) | (bytes[from + 1]! << 4) | (headBytes === 3 ? bytes[from + 2]! << 12 : 0);
  if (size > scratch.length) bad('a block has too many literals');
  if (repeated) return { bytes: scratch.fill(bytes[start]!, 0, size).subarray(0, size), table, end: start + 1 };
  if (start + size > to) bad('its literals are cut short');
  return { bytes: bytes.subarray(start, start + size), table, end: start + size };
}

/** Decodes Huffman-coded literals. Reads a table first when `known` is null. */
function readCoded(
  bytes: Uint8Array,
  from: number,
  to: number,
  known: HuffmanTable | null,
  scratch: Uint8Array,
): Literals {
  const head = bytes[from]!;
  const format = (head >> 2) & 3;
  const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18;
  const start = from + (4 + 2 * sizeBits) / 8;
  if (start > to) bad('its literals are cut short');
  // The header has up to 40 bits, so multiplications replace shifts.
  const [, b1, b2, b3, b4] = bytes.subarray(from, from + 5);
  const word =
    head + b1! * 2 ** 8 + b2! * 2 ** 16 + (format > 1 ? b3! * 2 ** 24 : 0) + (format > 2 ? b4! * 2 ** 32 : 0);
  const size = Math.floor(word / 16) % 2 ** sizeBits;
  const end = start + Math.floor(word / 2 ** (4 + sizeBits));
  if (end > to) bad('its literals are cut short');
  if (size > scratch.length) bad('a block has too many literals');
  const read = (head & 3) === 2 ? readHuffman(bytes, start, end) : { table: known, end: start };
  if (read.table === null) bad('its literals use a missing Huffman table');
  const into = scratch.subarray(0, size);
  if (format === 0) decodeHuffman(read.table, bytes, read.end, end, into);
  else decodeFour(read.table, bytes, read.end, end, into);
  return { bytes: into, table: read.table, end };
}

/**
 * Decodes four streams. A table contains the lengths of the first three; each of these decodes to a quarter of the
 * bytes.
 */
function decodeFour(table: HuffmanTable, bytes: Uint8Array, from: number, to: number, into: Uint8Array): void {
  const quarter = (into.length + 3) >> 2;
  if (from + 6 > to || 3 * quarter > into.length) bad('its literals are cut short');
  let at = from + 6;
  for (let stream = 0; stream < 4; stream++) {
    const length = bytes[from + 2 * stream]! | (bytes[from + 2 * stream + 1]! << 8);
    const end = stream === 3 ? to : at + length;
    if (end > to) bad('its literals are cut short');
    const begin = stream * quarter;
    decodeHuffman(table, bytes, at, end, into.subarray(begin, stream === 3 ? into.length : begin + quarter));
    at = end;
  }
}
