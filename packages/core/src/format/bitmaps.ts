/** Encodes and decodes the bitmap directory: consecutive entries of variable length (spec: "Bitmaps"). */
import { Qcow2Error } from '../errors.js';
import { alignUp, getUint64, setUint64, viewOf } from './bytes.js';
import { MAX_BITMAP_NAME_BYTES, MAX_GRANULARITY_BITS, MIN_GRANULARITY_BITS } from './limits.js';

/** Length of the fixed part of an entry, bytes. */
export const BITMAP_HEADER_BYTES = 24;

/** Offset of the table's length in an entry, bytes. */
export const BITMAP_TABLE_SIZE_AT = 8;

/** Offset of the flags in an entry, bytes. Entries begin at multiples of 8, so flags never straddle two sectors. */
export const BITMAP_FLAGS_AT = 12;

/** One entry of the bitmap directory; offsets and sizes in bytes. */
export interface Bitmap {
  readonly tableOffset: number;
  /** Number of entries in its table. */
  readonly tableSize: number;
  /** 32-bit word, see `BITMAP_FLAG`. */
  readonly flags: number;
  /** 1 is a dirty tracking bitmap, the only type that is defined. */
  readonly type: number;
  readonly granularityBits: number;
  readonly extra: Uint8Array;
  readonly name: Uint8Array;
}

/**
 * Decodes the directory. `bytes` is all of it, at file offset `place`, and must contain exactly `count` entries.
 *
 * @throws {@link Qcow2Error} `corrupt` when it does not, or when an entry violates the specification.
 */
export function decodeBitmaps(bytes: Uint8Array, count: number, directoryOffset: number): Bitmap[] {
  const damaged = (how: string): Qcow2Error => {
    const what = `bitmap ${bitmaps.length}`;
    return new Qcow2Error('corrupt', `Bitmap ${bitmaps.length} of the bitmap directory ${how}.`, {
      what,
      at: directoryOffset + at,
    });
  };
  const view = viewOf(bytes);
  const bitmaps: Bitmap[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + BITMAP_HEADER_BYTES > bytes.length) throw damaged('is cut short');
    const nameLength = view.getUint16(at + 18);
    const extraLength = view.getUint32(at + 20);
    const granularityBits = view.getUint8(at + 17);
    const type = view.getUint8(at + 16);
    const extra = at + BITMAP_HEADER_BYTES;
    const name = extra + extraLength;
    const end = name + nameLength;
    if (alignUp(end, 8) > bytes.length) throw damaged('runs past the end of the directory');
    if (nameLength === 0 || nameLength > MAX_BITMAP_NAME_BYTES) {
      throw damaged(`has a name of ${nameLength} bytes`);
    }
    if (type !== 1) throw damaged(`is of the unknown type ${type}`);
    if (granularityBits < MIN_GRANULARITY_BITS || granularityBits > MAX_GRANULARITY_BITS) {
      throw damaged(`has ${granularityBits} granularity bits`);
    }
    bitmaps.push({
      tableOffset: getUint64(view, at),
      tableSize: view.getUint32(at + 8),
      flags: view.getUint32(at + 12),
      type,
      granularityBits,
      extra: bytes.slice(extra, name),
      name: bytes.slice(name, end),
    });
    at = alignUp(end, 8);
  }
  if (bitmaps.length !== count) {
    throw new Qcow2Error('corrupt', `The bitmap directory contains ${bitmaps.length} bitmaps instead of ${count}.`, {
      what: 'bitmap directory',
      at: directoryOffset,
    });
  }
  return bitmaps;
}

/** Encodes a bitmap directory: the inverse of {@link decodeBitmaps}. */
export function encodeBitmaps(bitmaps: readonly Bitmap[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(bitmaps.reduce((sum, bitmap) => sum + bitmapEntryLength(bitmap), 0));
  const view = viewOf(bytes);
  let at = 0;
  for (const bitmap of bitmaps) {
    setUint64(view, at, bitmap.tableOffset);
    view.setUint32(at + 8, bitmap.tableSize);
    view.setUint32(at + 12, bitmap.flags);
    view.setUint8(at + 16, bitmap.type);
    view.setUint8(at + 17, bitmap.granularityBits);
    view.setUint16(at + 18, bitmap.name.length);
    view.setUint32(at + 20, bitmap.extra.length);
    bytes.set(bitmap.extra, at + BITMAP_HEADER_BYTES);
    bytes.set(bitmap.name, at + BITMAP_HEADER_BYTES + bitmap.extra.length);
    at += bitmapEntryLength(bitmap);
  }
  return bytes;
}

/** True if a flag of an entry is set. `flag` is one of `BITMAP_FLAG`. */
export function hasBitmapFlag({ flags }: Bitmap, flag: number): boolean {
  return ((flags >>> flag) & 1) !== 0;
}

/** Length of an entry in the directory, padding included, bytes. */
export function bitmapEntryLength({ extra, name }: Bitmap): number {
  return alignUp(BITMAP_HEADER_BYTES + extra.length + name.length, 8);
}
