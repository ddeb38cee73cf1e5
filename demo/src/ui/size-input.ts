/** Parses a size that the user typed: bytes, or a number with one of qemu-img's units. */
import { formatCount } from '../engine/size.js';

/** The parsed size, or why it is refused in words. */
export type SizeInput = { readonly bytes: number } | { readonly refusal: string };

/** A number, possibly with a fraction, and a unit. */
const WRITTEN = /^([0-9]+(?:[.,][0-9]+)*)\s*([a-z]*)$/i;
/** qemu-img's suffixes; each is 1024 of the one before. */
const SUFFIXES = 'KMGTPE';
const EXAMPLES = 'Write a number and a unit, such as 10G or 512M, or a number of bytes.';

/** Parses `10G`, `512 MiB`, `1.5g`, `65536` and `1,048,576`: units are powers of 1024, as in qemu-img. */
export function parseSize(text: string): SizeInput {
  const typed = text.trim();
  if (typed === '') return { refusal: 'Say how large the disk is to be: 10G, for example.' };
  const [, digits = '', unit = ''] = WRITTEN.exec(typed) ?? [];
  if (digits === '') return { refusal: `"${typed}" is not a size. ${EXAMPLES}` };
  const count = numberOf(digits);
  if (count === null) return { refusal: `"${typed}" is not clear: write fractions with a point, as in 1.5G.` };
  const factor = factorOf(unit);
  if (factor === null) return { refusal: unitRefusal(unit) };
  const bytes = Math.ceil(count * factor);
  if (factor === 1 && !Number.isInteger(count)) return { refusal: 'There is no fraction of a byte.' };
  if (bytes === 0) return { refusal: 'A disk has at least 1 byte.' };
  if (!Number.isSafeInteger(bytes)) {
    return { refusal: `That is too large: at most ${formatCount(Number.MAX_SAFE_INTEGER)} bytes can be counted.` };
  }
  return { bytes };
}

/**
 * Parses a number. Commas are accepted only between groups of three digits, where they cannot be decimal separators.
 */
function numberOf(digits: string): number | null {
  const plain = /^[0-9]{1,3}(,[0-9]{3})+$/.test(digits) ? digits.replaceAll(',', '') : digits;
  return /^[0-9]+(\.[0-9]+)?$/.test(plain) ? Number(plain) : null;
}

/** The number of bytes of a unit; null if it is unknown. */
function factorOf(unit: string): number | null {
  if (/^(|b|bytes?)$/i.test(unit)) return 1;
  const [, letter] = /^([kmgtpe])(?:ib)?$/i.exec(unit) ?? [];
  return letter === undefined ? null : 1024 ** (SUFFIXES.indexOf(letter.toUpperCase()) + 1);
}

function unitRefusal(unit: string): string {
  const [, letter] = /^([kmgtpe])b$/i.exec(unit) ?? [];
  if (letter === undefined) return `"${unit}" is not a unit. ${EXAMPLES}`;
  const meant = letter.toUpperCase();
  return `"${unit}" can mean two sizes. Write ${meant} or ${meant}iB for powers of 1024, as QEMU does.`;
}
