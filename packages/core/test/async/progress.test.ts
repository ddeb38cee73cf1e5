/** Reports of progress: rising, not too many, and always one for the end. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Progress } from '../../src/api/options.js';
import { progressOf } from '../../src/engine/async/progress.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A report that keeps what it is given. */
function collecting(total: number): { report: ReturnType<typeof progressOf>; got: Progress[] } {
  const got: Progress[] = [];
  return { report: progressOf({ onProgress: (progress) => got.push(progress) }, 'read', total), got };
}

it('does nothing without a callback', () => {
  for (const options of [undefined, {}]) expect(() => progressOf(options, 'read', 10)(5)).not.toThrow();
});

it('reports at most once in 100 ms, and at the end', () => {
  const { report, got } = collecting(1000);
  for (let done = 0; done <= 1000; done++) {
    report(done);
    vi.advanceTimersByTime(1);
  }
  expect(got.map(({ done }) => done)).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
  expect(got[0]).toEqual({ phase: 'read', done: 0, total: 1000 });
});

it('never reports a lower or repeated value', () => {
  const { report, got } = collecting(1000);
  for (const done of [10, 5, 10, 20, 1000, 1000]) {
    report(done);
    vi.advanceTimersByTime(200);
  }
  expect(got.map(({ done }) => done)).toEqual([10, 20, 1000]);
});

it('with an unknown total, reports the call that sets `last` as the last one', () => {
  const { report, got } = collecting(Number.POSITIVE_INFINITY);
  report(1);
  report(2);
  report(3, true);
  expect(got.map(({ done }) => done)).toEqual([1, 3]);
});
