/** The messages of a request: all of it, in order, none too large. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planMessages } from '../src/message-plan.js';

const piece = fc.record({ length: fc.nat(50), carried: fc.boolean() });

test('every byte is in one part, in order, and no message carries more than it may', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (pieces, most) => {
      const messages = planMessages(pieces, most);
      const next = pieces.map(() => 0);
      let last = 0;
      for (const message of messages) {
        let carried = 0;
        for (const { index, from, length } of message) {
          expect(index).toBeGreaterThanOrEqual(last);
          last = index;
          expect(from).toBe(next[index]);
          next[index]! += length;
          if (pieces[index]!.carried) carried += length;
        }
        expect(carried).toBeLessThanOrEqual(most);
      }
      expect(next).toEqual(pieces.map(({ length }) => length));
      // An empty piece is sent, too: whether its offset is right is for the engine to say.
      expect(new Set(messages.flat().map(({ index }) => index)).size).toBe(pieces.length);
    }),
  );
});

test('a request that fits is one message', () => {
  expect(planMessages([{ length: 32 * 2 ** 20, carried: true }])).toHaveLength(1);
  expect(planMessages([{ length: 2 ** 31, carried: false }])).toHaveLength(1);
  expect(planMessages([])).toEqual([[]]);
  expect(planMessages([{ length: 2 ** 31, carried: true }])).toHaveLength(64);
});
