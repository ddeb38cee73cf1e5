import { describe, expect, it } from 'vitest';
import { formatDuration, Pace } from '../src/engine/pace.js';

describe('pace', () => {
  it('has no speed before the first measurement', () => {
    const pace = new Pace(0);
    expect(pace.speed).toBeNull();
    expect(pace.secondsLeft(100)).toBeNull();
  });

  it('measures a steady speed exactly', () => {
    const pace = new Pace(1000);
    for (let step = 1; step <= 10; step++) pace.update(step * 500, 1000 + step * 100);
    expect(pace.speed).toBeCloseTo(5000, 6);
    expect(pace.secondsLeft(15_000)).toBeCloseTo(2, 6);
  });

  it('approaches a changed speed gradually', () => {
    const pace = new Pace(0);
    pace.update(1000, 1000);
    pace.update(1000 + 4000, 2000);
    expect(pace.speed).toBeGreaterThan(1000);
    expect(pace.speed).toBeLessThan(4000);
  });

  it('gives no remaining time when there is no progress', () => {
    const pace = new Pace(0);
    pace.update(0, 1000);
    expect(pace.secondsLeft(100)).toBeNull();
  });
});

describe('durations', () => {
  it.each([
    [0.2, 'less than a second'],
    [1, '1 second'],
    [11.4, '12 seconds'],
    [60, '1 minute'],
    [61, '2 minutes'],
    [3600, '1 hour'],
    [3900, '1 hour 5 minutes'],
  ])('%d seconds is %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
