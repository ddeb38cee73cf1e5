/**
 * The dirty ranges of a table against a plain list of sectors: all that changed is in them, near ones are joined, far
 * ones are not.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirtyRanges } from '../../src/engine/allocation/dirty-ranges.js';

const SECTOR = 512;
const NEAR = 64 * 1024;

const changes = fc.array(fc.record({ at: fc.nat(4 * 1024 * 1024), length: fc.integer({ min: 1, max: 3000 }) }), {
  maxLength: 60,
});

describe('dirty ranges', () => {
  it('are whole sectors, in order, contain every changed byte, and have no short gaps', () => {
    fc.assert(
      fc.property(changes, (drawn) => {
        const dirty = new DirtyRanges();
        for (const { at, length } of drawn) dirty.add(at, at + length);
        const ranges = [...dirty];
        for (const { at, length } of drawn) {
          expect(ranges.some(({ start, end }) => start <= at && at + length <= end)).toBe(true);
        }
        ranges.forEach(({ start, end }, index) => {
          expect(start % SECTOR).toBe(0);
          expect(end % SECTOR).toBe(0);
          if (index > 0) expect(start - ranges[index - 1]!.end).toBeGreaterThan(NEAR);
          // Each begins and ends with a change.
          expect(drawn.some(({ at }) => at >= start && at < start + SECTOR)).toBe(true);
          expect(drawn.some(({ at, length }) => at + length <= end && at + length > end - SECTOR)).toBe(true);
        });
        expect(dirty.empty).toBe(drawn.length === 0);
        expect(dirty.end).toBe(ranges.at(-1)?.end ?? 0);
      }),
    );
  });

  it('are empty after they were cleared', () => {
    const dirty = new DirtyRanges();
    dirty.add(0, 8);
    dirty.add(1024 * 1024, 1024 * 1024 + 8);
    expect([...dirty]).toHaveLength(2);
    dirty.clear();
    expect([...dirty]).toEqual([]);
    expect(dirty.empty).toBe(true);
  });
});
