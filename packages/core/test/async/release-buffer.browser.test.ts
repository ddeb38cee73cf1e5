/** Buffers that are given back in browsers, where late collection costs a page its memory. */
import { expect, test } from 'vitest';
import { releaseBuffer } from '../../src/engine/async/release-buffer.js';

const MIB = 2 ** 20;

/** What is gathered of earlier tests goes with it. */
function discardMuch(): void {
  releaseBuffer(new Uint8Array(2 * MIB));
}

test('buffers are empty as soon as some have gathered, and so are the next ones, also much later', async () => {
  discardMuch();
  for (let round = 0; round < 5; round++) {
    const chunks = Array.from({ length: 21 }, () => new Uint8Array(100_000));
    for (const chunk of chunks) releaseBuffer(chunk);
    expect(chunks.map(({ byteLength }) => byteLength)).toEqual(chunks.map(() => 0));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

test('a large one is empty at once', () => {
  const large = new Uint8Array(3 * MIB);
  releaseBuffer(large);
  expect(large.byteLength).toBe(0);
});

test('a part of a buffer takes the whole along, twice is no error, nor is a buffer without bytes or one that went elsewhere', () => {
  discardMuch();
  const whole = new Uint8Array(100);
  releaseBuffer(whole.subarray(10, 20));
  releaseBuffer(whole);
  releaseBuffer(new Uint8Array(0));
  const sent = new Uint8Array(100);
  releaseBuffer(sent);
  structuredClone(sent, { transfer: [sent.buffer] });
  discardMuch();
  expect(whole.byteLength).toBe(0);
  releaseBuffer(whole);
});
