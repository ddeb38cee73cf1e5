/** Packs ranges into numbers for transfer. */
import type { Range } from 'qcow2';

/** start, length. A double represents every integer up to 2^53. */
const FIELDS = 2;

/** Packs ranges into one transferable array. */
export function packRanges(ranges: readonly Range[]): Float64Array<ArrayBuffer> {
  const packed = new Float64Array(ranges.length * FIELDS);
  ranges.forEach(({ start, length }, index) => {
    packed[index * FIELDS] = start;
    packed[index * FIELDS + 1] = length;
  });
  return packed;
}

/** Unpacks the ranges of a packet, in order. */
export function unpackRanges(packed: Float64Array): Range[] {
  const ranges: Range[] = [];
  for (let at = 0; at < packed.length; at += FIELDS) ranges.push({ start: packed[at]!, length: packed[at + 1]! });
  return ranges;
}
