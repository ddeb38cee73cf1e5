/** The iterator of a map: in order, also when asked faster than it can answer, and over at its end. */
import { describe, expect, it } from 'vitest';
import type { Extent } from '../src/index.js';
import { BatchIterator } from '../src/verbs/batch-iterator.js';

const extent = (start: number): Extent => ({
  start,
  length: 1,
  depth: 0,
  present: true,
  zero: false,
  data: true,
  compressed: false,
});

let ended = 0;
async function* batches(...sizes: number[]): AsyncGenerator<Extent[], void, undefined> {
  let start = 0;
  try {
    for (const size of sizes) {
      await Promise.resolve();
      yield Array.from({ length: size }, () => extent(start++));
    }
  } finally {
    ended++;
  }
}

describe('BatchIterator', () => {
  it('returns every extent of every batch, also with empty batches', async () => {
    const starts: number[] = [];
    for await (const { start } of new BatchIterator(async () => batches(3, 0, 2, 1, 0))) starts.push(start);
    expect(starts).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('settles concurrent calls in order', async () => {
    const iterator = new BatchIterator(async () => batches(2, 3));
    const results = await Promise.all(Array.from({ length: 7 }, () => iterator.next()));
    expect(results.map(({ value }) => value?.start)).toEqual([0, 1, 2, 3, 4, undefined, undefined]);
    expect(results.map(({ done }) => done)).toEqual([false, false, false, false, false, true, true]);
  });

  it('ends after break, and after an error', async () => {
    ended = 0;
    const iterator = new BatchIterator(async () => batches(5, 5));
    for await (const { start } of iterator) if (start === 1) break;
    expect(ended).toBe(1);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    const failing = new BatchIterator(() => Promise.reject(new Error('no')));
    await expect(failing.next()).rejects.toThrow('no');
    expect(await failing.next()).toEqual({ done: true, value: undefined });
  });

  it('does nothing before the first call of next', async () => {
    let opened = 0;
    const iterator = new BatchIterator(async () => {
      opened++;
      return batches(1);
    });
    expect(opened).toBe(0);
    await iterator.next();
    await iterator.next();
    expect(opened).toBe(1);
  });

  it('returns nothing after return, to pending and later calls, and opens nothing for them', async () => {
    ended = 0;
    const iterator = new BatchIterator(async () => batches(3, 3));
    await iterator.next();
    const waiting = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
    // The third call has begun to load the second batch.
    await null;
    await null;
    const over = iterator.return();
    const results = await Promise.all(waiting);
    // What was in memory when it was asked for had been found before.
    expect(results.map(({ done }) => done)).toEqual([false, false, true, true]);
    expect(await over).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(ended).toBe(1);
  });

  it('closes batches that were being opened when it was ended', async () => {
    ended = 0;
    let open = (): void => {};
    let opened = 0;
    const iterator = new BatchIterator(async () => {
      opened++;
      await new Promise<void>((resolve) => {
        open = resolve;
      });
      return {
        next: async () => ({ done: false as const, value: [extent(0)] }),
        return: async () => {
          ended++;
        },
      };
    });
    const first = iterator.next();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(await iterator.return()).toEqual({ done: true, value: undefined });
    open();
    expect(await first).toEqual({ done: true, value: undefined });
    expect([opened, ended]).toEqual([1, 1]);
  });

  it('opens nothing when it was ended before', async () => {
    let opened = 0;
    const iterator = new BatchIterator(async () => {
      opened++;
      return batches(1);
    });
    await iterator.return();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(opened).toBe(0);
  });
});
