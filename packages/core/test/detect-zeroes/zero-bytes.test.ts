/** The test for zeros: every length, at every alignment, and with every byte that could be missed. */
import { expect, test } from 'vitest';
import { isZero } from '../../src/verbs/zero-bytes.js';

/** Longer than eight words and what may lie around them. */
const LENGTH = 48;

test('finds a single byte wherever it is, and none outside the range', () => {
  for (let offset = 0; offset < 4; offset++) {
    const bytes = new Uint8Array(new ArrayBuffer(LENGTH + 8), offset, LENGTH);
    for (let from = 0; from <= LENGTH; from++) {
      for (let to = from; to <= LENGTH; to++) expect(isZero(bytes, from, to)).toBe(true);
    }
    expect(isZero(bytes)).toBe(true);
    for (let at = 0; at < LENGTH; at++) {
      bytes[at] = 0x80;
      for (let from = 0; from <= LENGTH; from++) {
        const found = [LENGTH, at, at + 1].filter((to) => to >= from && !isZero(bytes, from, to));
        expect(found).toEqual([LENGTH, at + 1].filter((to) => from <= at && to > at));
      }
      bytes[at] = 0;
    }
  }
});
