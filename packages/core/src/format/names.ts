/** Encodes and decodes the names in an image: of files, snapshots, bitmaps and features. They are UTF-8 in the file. */

/** A byte order mark is kept: without it the text would name another file. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Decodes UTF-8 up to the first NUL, as QEMU does. Each byte that is not UTF-8 becomes the lone surrogate U+DC00 +
 * byte, as in Python's `surrogateescape`: different bytes stay different names, and none is the name of another file.
 */
export function decodeName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  // A copy, because TextDecoder refuses shared memory.
  const name = bytes.slice(0, end < 0 ? bytes.length : end);
  const text = UTF8.decode(name);
  return text.includes('\ufffd') ? decodeInvalidUtf8(name) : text;
}

function decodeInvalidUtf8(name: Uint8Array): string {
  let text = '';
  for (let at = 0; at < name.length; ) {
    const code = codePointAt(name, at);
    text += String.fromCodePoint(code ?? 0xdc00 + name[at]!);
    at += code === null ? 1 : utf8Length(code);
  }
  return text;
}

/** Returns the code point that begins at `at`, null when none does (RFC 3629, section 3). */
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
