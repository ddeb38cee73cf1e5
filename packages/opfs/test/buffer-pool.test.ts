/** The pool of buffers that travel: the smallest that fits, never more than the limit. */
import { expect, test } from 'vitest';
import { BufferPool, roundedLength } from '../src/protocol/buffer-pool.js';

const KIB = 1024;
const MIB = 1024 * KIB;

test.each([
  [1, 64 * KIB],
  [64 * KIB, 64 * KIB],
  [64 * KIB + 1, 128 * KIB],
  [MIB - 1, MIB],
  [MIB + 1, 2 * MIB],
  [5 * MIB, 5 * MIB],
])('a buffer for %d bytes has a length of %d', (length, rounded) => {
  expect(roundedLength(length)).toBe(rounded);
});

test('returns the smallest spare buffer that fits, once', () => {
  const pool = new BufferPool(MIB);
  const [small, middle, large] = [new ArrayBuffer(64), new ArrayBuffer(128), new ArrayBuffer(256)];
  for (const buffer of [large, small, middle]) pool.give(buffer);
  expect(pool.bytes).toBe(448);
  expect(pool.take(100)).toBe(middle);
  expect(pool.take(100)).toBe(large);
  expect(pool.take(100)).toBeUndefined();
  expect(pool.take(64)).toBe(small);
  expect(pool.bytes).toBe(0);
});

test('drops the oldest spare buffers beyond its limit, and a buffer larger than that', () => {
  const pool = new BufferPool(200);
  const first = new ArrayBuffer(100);
  const second = new ArrayBuffer(90);
  const third = new ArrayBuffer(80);
  for (const buffer of [first, second, third]) pool.give(buffer);
  expect(pool.bytes).toBe(170);
  expect(pool.take(95)).toBeUndefined();
  pool.give(new ArrayBuffer(201));
  expect(pool.bytes).toBe(170);
});

test('does not accept a detached buffer', () => {
  const pool = new BufferPool();
  const gone = new ArrayBuffer(100);
  structuredClone(gone, { transfer: [gone] });
  pool.give(gone);
  expect(pool.take(0)).toBeUndefined();
});
