/**
 * Executes the sequences section of a compressed block: copies of literals and of earlier output (RFC 8878, 3.1.1.3.2).
 */
import { BackwardBits, bad } from './bits.js';
import { type FseTable, fseOfOne, fseTable, readFse } from './fse.js';

/** The tables of literal lengths, offsets and match lengths, which later blocks may reuse. */
export interface SequenceTables {
  readonly literalLengths: FseTable;
  readonly offsets: FseTable;
  readonly matchLengths: FseTable;
}

/** State that is kept between the blocks of a frame. */
export interface SequenceState {
  tables: SequenceTables | null;
  /** The last three offsets, latest first. */
  readonly recent: [number, number, number];
}

/** A length code: extra bits and baseline of each symbol, the maximum accuracy, and the predefined table. */
interface Code {
  readonly bits: Uint8Array;
  readonly bases: Uint32Array;
  readonly accuracy: number;
  readonly predefined: FseTable;
}

function code(first: number, bits: readonly number[], accuracy: number, counts: readonly number[]): Code {
  const bases = new Uint32Array(bits.length);
  let base = first;
  bits.forEach((count, symbol) => {
    bases[symbol] = base;
    base += 2 ** count;
  });
  const size = counts.reduce((sum, count) => sum + Math.abs(count), 0);
  return { bits: Uint8Array.from(bits), bases, accuracy, predefined: fseTable(counts, Math.log2(size)) };
}

const times = (count: number, value: number): number[] => Array<number>(count).fill(value);

/** RFC 8878, 3.1.1.3.2.1.1 for the codes, 3.1.1.3.2.2 for the predefined tables. */
const LITERAL_LENGTHS = code(
  0,
  [...times(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  9,
  [4, 3, ...times(11, 2), 1, 1, 1, ...times(9, 2), 3, 2, ...times(5, 1), ...times(4, -1)],
);
const MATCH_LENGTHS = code(
  3,
  [...times(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  9,
  [1, 4, 3, ...times(6, 2), ...times(37, 1), ...times(7, -1)],
);
/**
 * An offset's code is the number of its bits. A cluster has at most 2^21 bytes, so a code over 22 is invalid, and all
 * bits can be read at once.
 */
const MAX_OFFSET_CODE = 22;
const OFFSETS = {
  accuracy: 8,
  max: 31,
  predefined: fseTable([...times(6, 1), 2, 2, 2, ...times(15, 1), ...times(5, -1)], 5),
};

/**
 * Executes the sequences of a block, then copies the remaining literals. Writes to `output` from `at` on, never past
 * `limit`; matches never start before `frame`. Returns the end of the output.
 *
 * @throws Error when the section is invalid or does not end exactly at `to`.
 */
export function runSequences(
  state: SequenceState,
  bytes: Uint8Array,
  from: number,
  to: number,
  literals: Uint8Array,
  output: Uint8Array,
  place: { readonly frame: number; readonly at: number; readonly limit: number },
): number {
  const { count, start } = readCount(bytes, from, to);
  let { at } = place;
  let taken = 0;
  if (count === 0) {
    if (start !== to) bad('a block continues past its end');
  } else {
    const { tables, end } = readTables(bytes, start, to, state.tables);
    state.tables = tables;
    [at, taken] = copy(tables, state.recent, bytes, end, to, count, literals, output, place);
  }
  const rest = literals.length - taken;
  if (rest > place.limit - at) bad('a block has too much content');
  output.set(literals.subarray(taken), at);
  return at + rest;
}

/** Reads the number of sequences, one to three bytes. */
function readCount(bytes: Uint8Array, from: number, to: number): { count: number; start: number } {
  const head = bytes[from]!;
  const start = from + (head < 128 ? 1 : head < 255 ? 2 : 3);
  if (start > to) bad('a block has no sequences section');
  if (head < 128) return { count: head, start };
  if (head < 255) return { count: ((head - 128) << 8) + bytes[from + 1]!, start };
  return { count: bytes[from + 1]! + (bytes[from + 2]! << 8) + 0x7f00, start };
}

/** Reads the three tables: each is predefined, of one symbol, described, or that of the previous block. */
function readTables(
  bytes: Uint8Array,
  from: number,
  to: number,
  before: SequenceTables | null,
): { tables: SequenceTables; end: number } {
  if (from >= to || (bytes[from]! & 3) !== 0) bad('the modes of its sequences are damaged');
  const modes = bytes[from]!;
  let end = from + 1;
  const read = (shift: number, max: number, accuracy: number, predefined: FseTable, last?: FseTable): FseTable => {
    const mode = (modes >> shift) & 3;
    if (mode === 0) return predefined;
    if (mode === 3) return last ?? bad('its sequences use a missing table');
    if (mode === 1) {
      if (end >= to || bytes[end]! > max) bad('the tables of its sequences are damaged');
      return fseOfOne(bytes[end++]!);
    }
    const described = readFse(bytes, end, to, max, accuracy);
    end = described.end;
    return described.table;
  };
  const lengths = (shift: number, of: Code, last?: FseTable) =>
    read(shift, of.bits.length - 1, of.accuracy, of.predefined, last);
  const literalLengths = lengths(6, LITERAL_LENGTHS, before?.literalLengths);
  const offsets = read(4, OFFSETS.max, OFFSETS.accuracy, OFFSETS.predefined, before?.offsets);
  const matchLengths = lengths(2, MATCH_LENGTHS, before?.matchLengths);
  return { tables: { literalLengths, offsets, matchLengths }, end };
}

/** Executes all sequences: literals, then a match. Returns the end of the output and the number of literals used. */
function copy(
  { literalLengths, offsets, matchLengths }: SequenceTables,
  recent: [number, number, number],
  bytes: Uint8Array,
  from: number,
  to: number,
  count: number,
  literals: Uint8Array,
  output: Uint8Array,
  { frame, at: start, limit }: { readonly frame: number; readonly at: number; readonly limit: number },
): [at: number, taken: number] {
  const stream = new BackwardBits(bytes, from, to);
  let literalState = stream.take(literalLengths.accuracy);
  let offsetState = stream.take(offsets.accuracy);
  let matchState = stream.take(matchLengths.accuracy);
  let at = start;
  let taken = 0;
  for (let left = count; left > 0; left--) {
    const offsetCode = offsets.symbols[offsetState]!;
    const matchCode = matchLengths.symbols[matchState]!;
    const literalCode = literalLengths.symbols[literalState]!;
    if (offsetCode > MAX_OFFSET_CODE) bad('a match reaches back further than a cluster');
    const value = (1 << offsetCode) + stream.take(offsetCode);
    const matchLength = MATCH_LENGTHS.bases[matchCode]! + stream.take(MATCH_LENGTHS.bits[matchCode]!);
    const literalLength = LITERAL_LENGTHS.bases[literalCode]! + stream.take(LITERAL_LENGTHS.bits[literalCode]!);
    if (left > 1) {
      literalState = literalLengths.bases[literalState]! + stream.take(literalLengths.bits[literalState]!);
      matchState = matchLengths.bases[matchState]! + stream.take(matchLengths.bits[matchState]!);
      offsetState = offsets.bases[offsetState]! + stream.take(offsets.bits[offsetState]!);
    }
    if (stream.left < 0) bad('its sequences are cut short');
    if (literalLength > literals.length - taken) bad('its sequences need more literals than there are');
    if (literalLength + matchLength > limit - at) bad('a block has too much content');
    for (let i = 0; i < literalLength; i++) output[at + i] = literals[taken + i]!;
    taken += literalLength;
    at += literalLength;
    const offset = offsetOf(recent, value, literalLength);
    if (offset > at - frame) bad('a match reaches back past the start of its frame');
    copyMatch(output, at, offset, matchLength);
    at += matchLength;
  }
  if (stream.left !== 0) bad('its sequences do not end where they should');
  return [at, taken];
}

/** Copies a match. It may overlap its own output and then repeats its bytes. */
function copyMatch(output: Uint8Array, at: number, offset: number, length: number): void {
  if (length > 64 && offset >= length) output.copyWithin(at, at - offset, at - offset + length);
  else for (let i = 0; i < length; i++) output[at + i] = output[at - offset + i]!;
}

/** Decodes an offset value: 1 to 3 select a recent offset, or the next one when there are no literals. */
function offsetOf(recent: [number, number, number], value: number, literalLength: number): number {
  const which = value > 3 ? 3 : value - 1 + (literalLength === 0 ? 1 : 0);
  if (which === 0) return recent[0];
  const offset = value > 3 ? value - 3 : which < 3 ? recent[which]! : recent[0] - 1;
  if (offset === 0) bad('a match has the offset 0');
  if (which > 1) recent[2] = recent[1];
  recent[1] = recent[0];
  recent[0] = offset;
  return offset;
}
