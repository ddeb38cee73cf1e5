/** Owns the comparison of large byte arrays in tests: a deep equality would take seconds for a mebibyte. */
import { expect } from 'vitest';

/** Expects the same bytes, and says where the first difference is. */
export function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length);
  let at = equalWords(actual, expected) * Uint32Array.BYTES_PER_ELEMENT;
  while (at < expected.length && actual[at] === expected[at]) at++;
  if (at < expected.length) expect({ at, byte: actual[at] }).toEqual({ at, byte: expected[at] });
}

/** How many words at the start of two arrays of one length are the same; 0 when they do not begin at words. */
function equalWords(actual: Uint8Array, expected: Uint8Array): number {
  if ([actual, expected].some(({ byteOffset }) => byteOffset % Uint32Array.BYTES_PER_ELEMENT > 0)) return 0;
  const [some, others] = [wordsOf(actual), wordsOf(expected)];
  let word = 0;
  while (word < others.length && some[word] === others[word]) word++;
  return word;
}

function wordsOf({ buffer, byteOffset, length }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, Math.floor(length / Uint32Array.BYTES_PER_ELEMENT));
}
