/** Yielding: work whose waits are all over at once lets timers and messages in, and only every so often. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { yieldToEventLoop, yieldWhenDue } from '../../src/engine/async/yield-to-event-loop.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A clock that the test sets. */
function clock(): { now: number } {
  const time = { now: 1_000_000 };
  vi.spyOn(Date, 'now').mockImplementation(() => time.now);
  return time;
}

describe('yieldWhenDue', () => {
  it('returns undefined until 20 ms have passed', () => {
    const time = clock();
    const yieldIfDue = yieldWhenDue();
    expect(yieldIfDue()).toBeUndefined();
    time.now += 19;
    expect(yieldIfDue()).toBeUndefined();
    time.now += 1;
    expect(yieldIfDue()).toBeInstanceOf(Promise);
  });

  it('counts from the end of the last wait', async () => {
    const time = clock();
    const yieldIfDue = yieldWhenDue();
    time.now += 20;
    const waiting = yieldIfDue();
    time.now += 500;
    await waiting;
    expect(yieldIfDue()).toBeUndefined();
    time.now += 19;
    expect(yieldIfDue()).toBeUndefined();
    time.now += 1;
    expect(yieldIfDue()).toBeInstanceOf(Promise);
  });
});

describe('yieldToEventLoop', () => {
  it('lets a timer fire in a loop that waits for nothing else', async () => {
    const yieldIfDue = yieldToEventLoop();
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 1);
    const end = Date.now() + 5000;
    while (!fired && Date.now() < end) await yieldIfDue();
    expect(fired).toBe(true);
  });

  it('does not yield before it is due', async () => {
    clock();
    const yieldIfDue = yieldToEventLoop();
    let fired = false;
    setImmediate(() => {
      fired = true;
    });
    for (let step = 0; step < 1000; step++) await yieldIfDue();
    expect(fired).toBe(false);
  });
});
