/** Encodes and decodes the table of a persistent bitmap and its bits (spec: "Bitmap table", "Bitmap data"). */
import { Qcow2Error } from '../errors.js';
import type { Bitmap } from './bitmaps.js';
import { hex, setUint64 } from './bytes.js';
import { decodeName } from './names.js';

/** An entry: all of its bits are clear, all are set, or they are stored in the cluster at `offset`. */
export type BitmapTableEntry = 'clear' | 'set' | { readonly offset: number };

const WORD = 0x1_0000_0000;
const OFFSET_HIGH = 0x00ff_ffff;
const OFFSET_LOW = 0xffff_fe00;
const ALL_ONES = 1;

/** The number of entries that the table of a bitmap needs, for a disk of `size` bytes. */
export function tableEntriesNeeded(
  size: number,
  { granularityBits }: Pick<Bitmap, 'granularityBits'>,
  clusterSize: number,
): number {
  return Math.ceil(Math.ceil(size / 2 ** granularityBits) / (clusterSize * 8));
}

/** Decodes entry `index` of a bitmap's table. Returns `fault` when the entry is invalid. */
export function decodeBitmapTableEntry(
  table: DataView,
  index: number,
  clusterSize: number,
): BitmapTableEntry | { readonly fault: string } {
  const high = table.getUint32(index * 8);
  const low = table.getUint32(index * 8 + 4);
  const offset = (high & OFFSET_HIGH) * WORD + ((low & OFFSET_LOW) >>> 0);
  const ones = (low & ALL_ONES) !== 0;
  const reserved = (high & ~OFFSET_HIGH) !== 0 || (low & ~OFFSET_LOW & ~ALL_ONES) !== 0;
  if (reserved || (ones && offset !== 0)) return { fault: 'sets bits that are reserved' };
  if (offset % clusterSize !== 0) return { fault: `points to ${hex(offset)}, no multiple of the cluster size` };
  if (offset === 0) return ones ? 'set' : 'clear';
  return { offset };
}

/**
 * Entry `index` of a bitmap's table.
 *
 * @throws {@link Qcow2Error} `corrupt` when it sets reserved bits or its offset is not a cluster's. The message names
 *   `bitmap`.
 */
export function getBitmapTableEntry(
  table: DataView,
  index: number,
  clusterSize: number,
  bitmap: Bitmap,
): BitmapTableEntry {
  const entry = decodeBitmapTableEntry(table, index, clusterSize);
  if (typeof entry === 'object' && 'fault' in entry) throw damaged(index, bitmap, entry.fault);
  return entry;
}

/**
 * Returns the first bit in `[from, to)` that equals `value`, or `to` when there is none. Bit 0 is the least significant
 * bit of the first byte.
 */
export function findBit(bits: Uint8Array, from: number, to: number, value: boolean): number {
  const without = value ? 0 : 0xff;
  for (let at = from; at < to; ) {
    const byte = bits[at >> 3]!;
    if ((at & 7) === 0 && byte === without) {
      at += 8;
      continue;
    }
    if (((byte >> (at & 7)) & 1) === (value ? 1 : 0)) return at;
    at++;
  }
  return to;
}

/** Writes entry `index` of a bitmap's table: the inverse of {@link getBitmapTableEntry}. */
export function setBitmapTableEntry(table: DataView, index: number, entry: BitmapTableEntry): void {
  setUint64(table, index * 8, typeof entry === 'string' ? 0 : entry.offset);
  if (entry === 'set') table.setUint32(index * 8 + 4, ALL_ONES);
}

/** Sets the bits in `[from, to)`. Returns true when one of them was clear. */
export function setBits(bits: Uint8Array, from: number, to: number): boolean {
  let changed = false;
  for (let at = from; at < to; ) {
    const whole = (at & 7) === 0 && to - at >= 8;
    const mask = whole ? 0xff : 1 << (at & 7);
    const byte = bits[at >> 3]!;
    if ((byte & mask) !== mask) {
      bits[at >> 3] = byte | mask;
      changed = true;
    }
    at += whole ? 8 : 1;
  }
  return changed;
}

/** Clears the bits from `from` on. */
export function clearBits(bits: Uint8Array, from: number): void {
  const byte = from >> 3;
  if ((from & 7) !== 0) bits[byte]! &= (1 << (from & 7)) - 1;
  bits.fill(0, (from + 7) >> 3);
}

function damaged(index: number, { name, tableOffset }: Bitmap, finding: string): Qcow2Error {
  const what = `table of bitmap "${decodeName(name)}"`;
  return new Qcow2Error('corrupt', `Entry ${index} of the ${what} ${finding}.`, { what, at: tableOffset + index * 8 });
}
