/** The messages of a request: all of it, in order, none too large. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planMessages } from '../src/page/message-plan.js';

test('every byte is in one part, in order, and no message exceeds the maximum', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (lengths, maxBytes) => {
      const messages = planMessages(lengths, maxBytes);
      const next = lengths.map(() => 0);
      let last = 0;
      for (const message of messages) {
        let total = 0;
        for (const { index, from, length } of message) {
          expect(index).toBeGreaterThanOrEqual(last);
          last = index;
          expect(from).toBe(next[index]);
          next[index]! += length;
          total += length;
        }
        expect(total).toBeLessThanOrEqual(maxBytes);
      }
      expect(next).toEqual(lengths);
      // An empty piece is sent, too: whether its offset is right is for the engine to say.
      expect(new Set(messages.flat().map(({ index }) => index)).size).toBe(lengths.length);
    }),
  );
});

test('a request that fits is one message', () => {
  expect(planMessages([32 * 2 ** 20])).toHaveLength(1);
  expect(planMessages([])).toEqual([[]]);
  expect(planMessages([2 ** 31])).toHaveLength(64);
});
