/** Retries: what is tried again, how often, after what time, and what is thrown in the end. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TransientError, withRetries } from '../../src/engine/async/retry.js';
import { Qcow2Error } from '../../src/errors.js';

const failure = new Qcow2Error('io', 'The server is busy.', { what: 'source' });
const signal = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** An attempt that throws these in turn, and then succeeds; notes when each try began. */
function failing(...errors: readonly unknown[]): { attempt: () => Promise<string>; times: number[] } {
  const times: number[] = [];
  const begin = Date.now();
  const left = [...errors];
  const attempt = async (): Promise<string> => {
    times.push(Date.now() - begin);
    if (left.length > 0) throw left.shift();
    return 'done';
  };
  return { attempt, times };
}

/** Runs to the end, with timers that fire at once. */
async function outcome(work: Promise<unknown>): Promise<unknown> {
  const ended = work.catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return ended;
}

describe('an attempt', () => {
  it('that succeeds is not retried', async () => {
    const { attempt, times } = failing();
    expect(await outcome(withRetries(attempt, { retries: 3, retryDelay: 100 }, signal))).toBe('done');
    expect(times).toEqual([0]);
  });

  it('that fails with another error is not retried', async () => {
    const error = new Error('no such file');
    const { attempt, times } = failing(error);
    expect(await outcome(withRetries(attempt, { retries: 3, retryDelay: 100 }, signal))).toBe(error);
    expect(times).toHaveLength(1);
  });

  it('with a transient error is retried as often as the policy allows', async () => {
    const twice = [new TransientError(failure), new TransientError(failure)];
    const { attempt } = failing(...twice);
    expect(await outcome(withRetries(attempt, { retries: 2, retryDelay: 100 }, signal))).toBe('done');
    const other = failing(...twice);
    expect(await outcome(withRetries(other.attempt, { retries: 1, retryDelay: 100 }, signal))).toBe(failure);
    expect(other.times).toHaveLength(2);
    const none = failing(new TransientError(failure));
    expect(await outcome(withRetries(none.attempt, { retries: 0, retryDelay: 100 }, signal))).toBe(failure);
    expect(none.times).toHaveLength(1);
  });

  it('ends with the error of the function when the retries are used up', async () => {
    let asked = 0;
    const findOut = async () => {
      asked++;
      return failure;
    };
    const errors = Array.from({ length: 3 }, () => new TransientError(findOut));
    const { attempt } = failing(...errors);
    expect(await outcome(withRetries(attempt, { retries: 2, retryDelay: 1 }, signal))).toBe(failure);
    expect(asked).toBe(1);
  });
});

describe('the waits', () => {
  const lots = Array.from({ length: 10 }, () => new TransientError(failure));

  it.each([
    ['with the shortest jitter', 0, 0.5],
    ['with the longest jitter', 0.999_999, 1],
  ])('double after each attempt, up to ten seconds: %s', async (_, random, share) => {
    vi.spyOn(Math, 'random').mockReturnValue(random);
    const { attempt, times } = failing(...lots);
    await outcome(withRetries(attempt, { retries: 10, retryDelay: 100 }, signal));
    const waits = times.slice(1).map((time, index) => time - times[index]!);
    const wanted = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000].map((wait) => wait * share);
    for (const [index, wait] of waits.entries()) expect(Math.abs(wait - wanted[index]!)).toBeLessThanOrEqual(1);
    expect(waits).toHaveLength(10);
  });

  it('follow Retry-After, up to a minute', async () => {
    const { attempt, times } = failing(new TransientError(failure, 7000), new TransientError(failure, 60_000));
    expect(await outcome(withRetries(attempt, { retries: 2, retryDelay: 1 }, signal))).toBe('done');
    expect(times).toEqual([0, 7000, 67_000]);
    const longer = failing(new TransientError(failure, 60_001));
    expect(await outcome(withRetries(longer.attempt, { retries: 2, retryDelay: 1 }, signal))).toBe(failure);
    expect(longer.times).toEqual([0]);
  });
});

describe('an abort', () => {
  const reason = new Error('enough');

  it('during a wait ends the wait and clears its timer', async () => {
    const controller = new AbortController();
    const { attempt, times } = failing(new TransientError(failure, 5000));
    const work = withRetries(attempt, { retries: 2, retryDelay: 1 }, controller.signal);
    const rejected = expect(work).rejects.toBe(reason);
    await vi.advanceTimersByTimeAsync(1000);
    controller.abort(reason);
    await rejected;
    expect(vi.getTimerCount()).toBe(0);
    expect(times).toHaveLength(1);
  });

  it('during an attempt throws its reason, whatever the attempt throws', async () => {
    const controller = new AbortController();
    const attempt = async () => {
      controller.abort(reason);
      throw new TransientError(failure);
    };
    expect(await outcome(withRetries(attempt, { retries: 2, retryDelay: 1 }, controller.signal))).toBe(reason);
  });

  it('after a successful attempt changes nothing', async () => {
    const controller = new AbortController();
    const attempt = async () => {
      controller.abort(reason);
      return 'done';
    };
    expect(await outcome(withRetries(attempt, { retries: 2, retryDelay: 1 }, controller.signal))).toBe('done');
  });
});
