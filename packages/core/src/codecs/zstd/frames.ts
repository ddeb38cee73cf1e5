/** Decodes the frames of a Zstandard stream and the blocks of a frame (RFC 8878, 3.1). */
import { viewOf } from '../../format/bytes.js';
import { bad } from './bits.js';
import type { HuffmanTable } from './huffman.js';
import { readLiterals } from './literals.js';
import { runSequences, type SequenceState } from './sequences.js';

const MAGIC = 0xfd2fb528;
/** The first of the sixteen magic numbers of skippable frames. */
const SKIPPABLE_MAGIC = 0x184d2a50;
/** Maximum decompressed length of a block, bytes. */
export const MAX_BLOCK_BYTES: number = 128 * 1024;
/** libzstd's, and so QEMU's, limit of the window size: 128 MiB. A cluster never needs more than its own length. */
const MAX_WINDOW_BYTES = 2 ** 27 + 1;

/** A decoded frame header. */
interface FrameHeader {
  /** Offset of its blocks in the stream, bytes. */
  readonly start: number;
  readonly maxBlockBytes: number;
  /** Null when the header does not contain it. */
  readonly contentBytes: number | null;
  readonly checksum: boolean;
}

/** State that is kept between the blocks of one frame. */
interface FrameState extends SequenceState {
  huffman: HuffmanTable | null;
}

/**
 * Fills `output` from one or more frames. Bytes after the frame that completes it are ignored. A frame with more output
 * is refused. `scratch` is the buffer for a block's literals.
 *
 * @throws Error when the stream is invalid, or is longer or shorter than `output` when decompressed.
 */
export function decodeFrames(input: Uint8Array, output: Uint8Array, scratch: Uint8Array): void {
  const view = viewOf(input);
  let from = 0;
  let at = 0;
  while (at < output.length) {
    const magic = from + 8 <= input.length ? view.getUint32(from, true) : 0;
    if (magic - (magic & 15) === SKIPPABLE_MAGIC) {
      from += 8 + view.getUint32(from + 4, true);
    } else if (magic === MAGIC) {
      const header = readHeader(view, from);
      const ends = decodeBlocks(input, header, output, at, scratch);
      if (header.contentBytes !== null && header.contentBytes !== ends.at - at) {
        bad(`a frame has ${ends.at - at} bytes of content instead of ${header.contentBytes}`);
      }
      from = ends.from + (header.checksum ? 4 : 0);
      at = ends.at;
    } else {
      bad(at === 0 ? 'it does not begin with a frame' : `it has ${at} of ${output.length} bytes of content`);
    }
  }
  if (from > input.length) bad('its last frame is cut short');
}

function readHeader(view: DataView, from: number): FrameHeader {
  const descriptor = view.getUint8(from + 4);
  const single = (descriptor & 0x20) !== 0;
  if ((descriptor & 8) !== 0) bad('a frame uses a reserved bit');
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const dictionaryAt = from + 5 + (single ? 0 : 1);
  const sizeAt = dictionaryAt + dictionaryBytes;
  const start = sizeAt + sizeBytes;
  if (start > view.byteLength) bad('the header of a frame is cut short');
  for (let at = dictionaryAt; at < sizeAt; at++) if (view.getUint8(at) !== 0) bad('a frame needs a dictionary');
  const contentBytes = sizeBytes === 0 ? null : contentSize(view, sizeAt, sizeBytes);
  const windowBytes = single ? contentBytes! : windowSize(view.getUint8(from + 5));
  if (windowBytes > MAX_WINDOW_BYTES) bad('a frame needs a window of more than 128 MiB');
  return {
    start,
    maxBlockBytes: Math.min(MAX_BLOCK_BYTES, windowBytes),
    contentBytes,
    checksum: (descriptor & 4) !== 0,
  };
}

/** Decodes the little-endian content size. The two-byte form has an offset of 256. */
function contentSize(view: DataView, at: number, bytes: number): number {
  if (bytes === 1) return view.getUint8(at);
  if (bytes === 2) return view.getUint16(at, true) + 256;
  return view.getUint32(at, true) + (bytes === 8 ? view.getUint32(at + 4, true) * 2 ** 32 : 0);
}

/** Decodes the window size: a power of two from 1 KiB on, plus eighths of it. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** Decodes all blocks of a frame. Returns the positions in input and output after them. */
function decodeBlocks(
  input: Uint8Array,
  { start, maxBlockBytes }: FrameHeader,
  output: Uint8Array,
  frame: number,
  scratch: Uint8Array,
): { from: number; at: number } {
  const state: FrameState = { huffman: null, tables: null, recent: [1, 4, 8] };
  let from = start;
  let at = frame;
  for (let last = false; !last; ) {
    if (from + 3 > input.length) bad('a frame is cut short');
    const head = input[from]! | (input[from + 1]! << 8) | (input[from + 2]! << 16);
    const kind = (head >> 1) & 3;
    const size = head >>> 3;
    last = (head & 1) !== 0;
    from += 3;
    const end = from + (kind === 1 ? 1 : size);
    if (size > maxBlockBytes) bad('a block is too large');
    if (end > input.length) bad('a block is cut short');
    const limit = Math.min(output.length, at + maxBlockBytes);
    if (kind < 2) {
      if (size > limit - at) bad('it has more content than one cluster');
      if (kind === 0) output.set(input.subarray(from, end), at);
      else output.fill(input[from]!, at, at + size);
      at += size;
    } else if (kind === 2) {
      at = decodeBlock(state, input, from, end, output, { frame, at, limit }, scratch.subarray(0, maxBlockBytes));
    } else {
      bad('a block is of the reserved kind');
    }
    from = end;
  }
  return { from, at };
}

function decodeBlock(
  state: FrameState,
  input: Uint8Array,
  from: number,
  to: number,
  output: Uint8Array,
  place: { readonly frame: number; readonly at: number; readonly limit: number },
  scratch: Uint8Array,
): number {
  if (from >= to) bad('a block is empty');
  const { bytes, table, end } = readLiterals(input, from, to, state.huffman, scratch);
  state.huffman = table;
  return runSequences(state, input, end, to, bytes, output, place);
}
