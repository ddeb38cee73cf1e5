/** Finds a name for an image that the store allows and that no image has yet. */
import { MAX_NAME_BYTES, nameRefusal } from './create-form.js';

/** The name of an image whose file has none that can be kept in part. */
const FALLBACK = 'image';
/** An extension is kept when a name is made shorter. What is longer is none. */
const EXTENSION = /\.[^.]{1,15}$/;

/** `wanted` itself or the nearest free name: without what no name may contain, and numbered: `disk-2.qcow2`. */
export function freeName(wanted: string, existing: readonly { readonly name: string }[]): string {
  const allowed = wanted
    .normalize('NFC')
    .replace(/[\\/\p{Cc}\p{Cs}]/gu, '_')
    .trim()
    .replace(/^\.+/, '');
  const extension = EXTENSION.exec(allowed)?.[0] ?? '';
  const stem = allowed.slice(0, allowed.length - extension.length) || FALLBACK;
  for (let number = 1; ; number++) {
    const end = number === 1 ? extension : `-${number}${extension}`;
    const name = shortened(stem, MAX_NAME_BYTES - bytesOf(end)) + end;
    if (nameRefusal(name, existing) === undefined) return name;
  }
}

/** The first characters of a text that fit into so many bytes of UTF-8. */
function shortened(text: string, maxBytes: number): string {
  let kept = '';
  let left = maxBytes;
  for (const character of text) {
    left -= bytesOf(character);
    if (left < 0) break;
    kept += character;
  }
  return kept;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
