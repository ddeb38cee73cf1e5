/** Buffers that are given back in browsers, where late collection costs a page its memory. */
import { expect, test } from 'vitest';
import { releaseBuffer } from '../../src/engine/async/release-buffer.js';

const MIB = 2 ** 20;

/** What is gathered of earlier tests goes with it. */
function discardMuch(): void {
  releaseBuffer(new Uint8Array(2 * MIB));
}

test('buffers are detached when their total reaches the limit, and so are later ones', async () => {
  discardMuch();
  for (let round = 0; round < 5; round++) {
    const chunks = Array.from({ length: 21 }, () => new Uint8Array(100_000));
    for (const chunk of chunks) releaseBuffer(chunk);
    expect(chunks.map(({ byteLength }) => byteLength)).toEqual(chunks.map(() => 0));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

test('a large buffer is detached immediately', () => {
  const large = new Uint8Array(3 * MIB);
  releaseBuffer(large);
  expect(large.byteLength).toBe(0);
});

test('detaches the whole buffer of a view, and accepts repeated, empty and detached buffers', () => {
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
