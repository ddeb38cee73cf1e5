/** Owns the reading and writing of the big-endian integers and names of which every qcow2 structure is made. */

/** 2^32: what the high word of a 64-bit field counts. */
const WORD = 0x1_0000_0000;

/** A view of exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The unsigned 64-bit integer at `at`. From 2^53 on the result is inexact, but then it is no safe integer either:
 * callers test `Number.isSafeInteger`.
 */
export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at) * WORD + view.getUint32(at + 4);
}

/** Writes a non-negative safe integer as an unsigned 64-bit one. */
export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / WORD));
  view.setUint32(at + 4, value % WORD);
}

/** The numbers of the bits that are set in a 64-bit field, ascending; 0 is the least significant. */
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

/** A byte order mark is kept: without it the text would be the name of another file. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * UTF-8 bytes as text, cut at the first NUL as QEMU cuts its names. Each byte that is no UTF-8 becomes the lone surrogate
 * U+DC00 + byte, as in Python's `surrogateescape`: different bytes are different names, and none is another file's.
 */
export function decodeName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  // A copy: TextDecoder refuses shared memory.
  const name = bytes.slice(0, end < 0 ? bytes.length : end);
  const text = UTF8.decode(name);
  return text.includes('\ufffd') ? decodeBroken(name) : text;
}

function decodeBroken(name: Uint8Array): string {
  let text = '';
  for (let at = 0; at < name.length; ) {
    const code = codePointAt(name, at);
    text += String.fromCodePoint(code ?? 0xdc00 + name[at]!);
    at += code === null ? 1 : utf8Length(code);
  }
  return text;
}

/** The character that begins at `at`; null when none does (RFC 3629, section 3). */
function codePointAt(bytes: Uint8Array, at: number): number | null {
  const lead = bytes[at]!;
  if (lead < 0x80) return lead;
  if (lead < 0xc2 || lead > 0xf4) return null;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  let code = lead & (0x7f >> length);
  for (let step = 1; step < length; step++) {
    const next = bytes[at + step] ?? 0;
    if (next >> 6 !== 2) return null;
    code = (code << 6) | (next & 0x3f);
  }
  const isCharacter = utf8Length(code) === length && code <= 0x10ffff && code >> 11 !== 0xd800 >> 11;
  return isCharacter ? code : null;
}

function utf8Length(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** Text as UTF-8 bytes. */
export function encodeName(name: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(name);
}

/** An offset as errors write it: hexadecimal. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
