/** Tests whether bytes are zeros. */

/** Bytes that are compared at once. */
const WORD = 4;

/** True if the bytes from `from` to before `to` are all zeros. */
export function isZero(bytes: Uint8Array, from: number = 0, to: number = bytes.length): boolean {
  let at = from;
  const misaligned = (bytes.byteOffset + from) % WORD;
  const firstWord = misaligned === 0 ? from : from + WORD - misaligned;
  for (; at < to && at < firstWord; at++) if (bytes[at] !== 0) return false;
  if (at === to) return true;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, Math.floor((to - at) / WORD));
  if (!areZero(words)) return false;
  for (at += words.length * WORD; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** Tests eight words with each branch: three times as fast as one. */
function areZero(words: Int32Array): boolean {
  const eights = words.length - (words.length % 8);
  let at = 0;
  for (; at < eights; at += 8) {
    const first = words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!;
    const last = words[at + 4]! | words[at + 5]! | words[at + 6]! | words[at + 7]!;
    if ((first | last) !== 0) return false;
  }
  for (; at < words.length; at++) if (words[at] !== 0) return false;
  return true;
}
