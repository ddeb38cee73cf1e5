/** Buffers that are given back in browsers, where late collection costs a page its memory. */
import { expect, test } from 'vitest';
import { discardBuffer } from '../src/io/spent-buffer.js';

test('a buffer is empty as soon as it is given back, and so is the next one, also much later', async () => {
  for (let round = 0; round < 20; round++) {
    const bytes = new Uint8Array(100_000);
    discardBuffer(bytes);
    expect(bytes.buffer.byteLength).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

test('a part of a buffer takes the whole along, and a buffer without bytes is no error', () => {
  const whole = new Uint8Array(100);
  discardBuffer(whole.subarray(10, 20));
  expect(whole.byteLength).toBe(0);
  discardBuffer(new Uint8Array(0));
  discardBuffer(whole);
});
