/** Owns the comparison of large byte arrays in tests: a deep equality would take seconds for a mebibyte. */
import { expect } from 'vitest';

/** Expects the same bytes, and says where the first difference is. */
export function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length);
  let at = 0;
  while (at < expected.length && actual[at] === expected[at]) at++;
  if (at < expected.length) expect({ at, byte: actual[at] }).toEqual({ at, byte: expected[at] });
}
