/** The idle timeout: it ends what nothing is received from, and nothing else. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { IdleTimeout } from '../../src/engine/async/idle-timeout.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('calls the callback once, when the limit has passed', () => {
  const onTimeout = vi.fn();
  new IdleTimeout(1000, onTimeout);
  vi.advanceTimersByTime(999);
  expect(onTimeout).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onTimeout).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(10_000);
  expect(onTimeout).toHaveBeenCalledTimes(1);
});

it('begins again at each restart', () => {
  const onTimeout = vi.fn();
  const timeout = new IdleTimeout(1000, onTimeout);
  for (let chunk = 0; chunk < 5; chunk++) {
    vi.advanceTimersByTime(900);
    timeout.restart();
  }
  vi.advanceTimersByTime(999);
  expect(onTimeout).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onTimeout).toHaveBeenCalledTimes(1);
});

it('does not call the callback after its end, and leaves no timer', () => {
  const onTimeout = vi.fn();
  const timeout = new IdleTimeout(1000, onTimeout);
  timeout.restart();
  timeout.end();
  expect(vi.getTimerCount()).toBe(0);
  timeout.end();
  vi.advanceTimersByTime(10_000);
  expect(onTimeout).not.toHaveBeenCalled();
});
