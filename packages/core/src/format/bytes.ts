/** Reads and writes the big-endian integers that every qcow2 structure consists of. */

/** 2^32: the weight of the high word of a 64-bit field. */
const WORD = 0x1_0000_0000;

/** A view of exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads the unsigned 64-bit integer at `at`. From 2^53 on the result is inexact; callers test `Number.isSafeInteger`.
 */
export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at) * WORD + view.getUint32(at + 4);
}

/** Writes a non-negative safe integer as an unsigned 64-bit one. */
export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / WORD));
  view.setUint32(at + 4, value % WORD);
}

/** Returns the numbers of the bits that are set in a 64-bit field, ascending; 0 is the least significant. */
export function getBits64(view: DataView, at: number): number[] {
  const bits: number[] = [];
  const low = view.getUint32(at + 4);
  const high = view.getUint32(at);
  for (let bit = 0; bit < 32; bit++) if ((low >>> bit) & 1) bits.push(bit);
  for (let bit = 0; bit < 32; bit++) if ((high >>> bit) & 1) bits.push(bit + 32);
  return bits;
}

/** Writes a 64-bit field in which exactly these bits are set. */
export function setBits64(view: DataView, at: number, bits: readonly number[]): void {
  let low = 0;
  let high = 0;
  for (const bit of bits) {
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  view.setUint32(at, high >>> 0);
  view.setUint32(at + 4, low >>> 0);
}

/** `value` rounded up to a multiple of `unit`. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Formats an offset for error messages, in hexadecimal. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
