/** The refcounts of a block, corrected many at a time, against a correction one by one. */
import { describe, expect, test } from 'vitest';
import { ClusterCounts } from '../../src/engine/allocation/cluster-counts.js';
import { viewOf } from '../../src/format/bytes.js';
import { getRefcount, refcountsPerBlock, setRefcount } from '../../src/format/refcounts.js';
import { RefcountBlock } from '../../src/verbs/repair/refcount-block.js';
import { numbers } from '../support/numbers.js';

const BYTES = 4096;

describe.each([0, 1, 3, 4, 5, 6])('refcounts of 2^%s bits', (order) => {
  test.each(['raise', 'lower'] as const)('%s', (correction) => {
    const next = numbers(order + 1);
    const perBlock = refcountsPerBlock(BYTES, order);
    const highest = Math.min(300, 2 ** (2 ** order) - 1);
    const some = () => Math.min(highest, [0, 0, 1, 1, 1, 2, 300][next() % 7]!);
    for (let round = 0; round < 20; round++) {
      const first = perBlock * (next() % 3);
      const end = first + perBlock - (round % 2 === 0 ? 0 : next() % perBlock);
      const references = new ClusterCounts(4 * perBlock);
      const bytes = new Uint8Array(BYTES);
      const set = (index: number, count: number) =>
        setRefcount(viewOf(bytes), order, index, order === 6 ? BigInt(count) : count);
      // Runs of the same, as in nearly all files.
      for (let index = 0; index < perBlock; ) {
        const [count, refcount, length] = [some(), some(), 1 + (next() % 40)];
        for (const last = Math.min(perBlock, index + length); index < last; index++) {
          references.set(first + index, count);
          set(index, refcount);
        }
      }
      const block = new RefcountBlock(bytes.slice(), order, first);
      const original = bytes.slice();
      let changed = 0;
      for (let index = 0; first + index < end; index++) {
        const wanted = references.get(first + index);
        const refcount = Number(getRefcount(viewOf(bytes), order, index));
        if (correction === 'raise' ? refcount >= wanted : refcount <= wanted) continue;
        set(index, wanted);
        changed++;
      }
      block.correct(references, end, correction);
      const result = new Uint8Array(block.view.buffer);
      expect(result).toEqual(bytes);
      expect(block.changed).toBe(changed);
      for (const { start, end: to } of block.dirty) original.set(result.subarray(start, to), start);
      expect(original).toEqual(bytes);
    }
  });
});
