/** Buffers that are borrowed: each has one borrower, the length that was asked for, and is used again. */
import { expect, it } from 'vitest';
import { Scratch } from '../../src/engine/async/scratch.js';

it('returns buffers of exactly the requested length, also of 0', () => {
  const scratch = new Scratch();
  for (const length of [0, 1, 4096]) expect(scratch.take(length)).toHaveLength(length);
});

it('reuses a returned buffer, also for fewer bytes, and later in full', () => {
  const scratch = new Scratch();
  const first = scratch.take(1000);
  scratch.give(first);
  const shorter = scratch.take(10);
  expect(shorter.buffer).toBe(first.buffer);
  expect(shorter).toHaveLength(10);
  scratch.give(shorter);
  const whole = scratch.take(1000);
  expect(whole.buffer).toBe(first.buffer);
  expect(whole).toHaveLength(1000);
});

it('never returns the same memory twice at a time', () => {
  const scratch = new Scratch();
  scratch.give(scratch.take(100));
  const [a, b] = [scratch.take(100), scratch.take(100)];
  expect(a.buffer).not.toBe(b.buffer);
});

it('skips buffers that are too short', () => {
  const scratch = new Scratch();
  const short = scratch.take(10);
  const long = scratch.take(100);
  scratch.give(short);
  scratch.give(long);
  expect(scratch.take(50).buffer).toBe(long.buffer);
  expect(scratch.take(11).buffer).not.toBe(short.buffer);
  expect(scratch.take(10).buffer).toBe(short.buffer);
});

it('keeps at most two idle buffers', () => {
  const scratch = new Scratch();
  const given = [scratch.take(10), scratch.take(10), scratch.take(10)];
  for (const buffer of given) scratch.give(buffer);
  const taken = [scratch.take(10), scratch.take(10), scratch.take(10)];
  const again = taken.filter((buffer) => given.some((old) => old.buffer === buffer.buffer));
  expect(again).toHaveLength(2);
});
