/** Counting the zeros of a refcount block, of every width. */
import { expect, test } from 'vitest';
import { countZeroRefcounts, refcountsPerBlock, setRefcount } from '../../src/format/refcounts.js';
import { numbers } from '../support/numbers.js';

test.each([0, 1, 2, 3, 4, 5, 6])('of %i-th power of two bits', (order) => {
  const block = new DataView(new ArrayBuffer(1024), 512);
  const perBlock = refcountsPerBlock(512, order);
  const next = numbers(order);
  // Beside small numbers the highest, so that each byte of a refcount is the only one that is not zero somewhere.
  const values = Array.from({ length: perBlock }, () => {
    const bits = next() % (2 ** order + 1);
    return bits === 0 ? 0n : 1n << BigInt(bits - 1);
  });
  for (const [index, value] of values.entries()) setRefcount(block, order, index, order === 6 ? value : Number(value));
  for (const count of [0, 1, perBlock - 1, perBlock]) {
    expect(countZeroRefcounts(block, order, count)).toBe(values.slice(0, count).filter((value) => value === 0n).length);
  }
});
