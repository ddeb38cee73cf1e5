/**
 * A worker that is killed in the middle of heavy writing: what it leaves opens, has leaks at most, and has what was
 * flushed.
 */
import { afterAll, beforeEach, expect, test } from 'vitest';
import { openStore, type WorkerImage } from '../src/index.js';
import { CLUSTER, noise } from './support/images.js';
import { clearStorage, firstDifference } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';
import { killableWorker } from './support/workers.js';

beforeEach(clearStorage);
afterAll(clearStorage);

const BLOCK = 8192;
const BLOCKS = 512;

/** A disk of blocks, each filled with the number of the round that wrote it: what is acknowledged, and what may be. */
class Ledger {
  readonly flushed = new Uint32Array(BLOCKS);
  readonly written = new Uint32Array(BLOCKS);
  #round = 0;

  /** Writes some blocks without waiting, then flushes, over and over until the image fails. */
  async write(image: WorkerImage): Promise<void> {
    for (;;) {
      this.#round++;
      const writes = Array.from({ length: 24 }, (_, step) => {
        const block = (this.#round * 37 + step * 61) % BLOCKS;
        this.written[block] = this.#round;
        return image.write(block * BLOCK, new Uint8Array(new Uint32Array(BLOCK / 4).fill(this.#round).buffer));
      });
      const before = this.written.slice();
      await Promise.all([...writes, image.flush()]);
      this.flushed.set(before);
    }
  }

  /**
   * Every block holds what was acknowledged, or something that was written to it since, and no mixture with anything
   * else.
   */
  async judge(image: WorkerImage): Promise<void> {
    const bytes = new Uint8Array(BLOCK * BLOCKS);
    await image.read(0, bytes);
    const words = new Uint32Array(bytes.buffer);
    for (let index = 0; index < words.length; index++) {
      const block = Math.floor((index * 4) / BLOCK);
      const word = words[index]!;
      if (word === this.flushed[block] || word === this.written[block]) continue;
      throw new Error(`block ${block}: ${word} is neither ${this.flushed[block]} nor ${this.written[block]}`);
    }
  }
}

const after = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** When the worker is killed: early, and when something was acknowledged and the next round is under way. */
const moments: readonly [string, (ledger: Ledger) => Promise<void>][] = [
  ['immediately', () => after(30)],
  ['early', () => after(150)],
  [
    'later',
    async (ledger) => {
      await expect.poll(() => Math.max(...ledger.flushed), { timeout: 30_000 }).toBeGreaterThan(0);
      await after(40);
    },
  ],
];

test.each([
  ['clusters of 64 KiB', { clusterSize: CLUSTER }],
  ['small clusters', { clusterSize: 512 }],
  ['subclusters', { clusterSize: CLUSTER, extendedL2: true }],
])('%s', async (_, shape) => {
  for (const [name, moment] of moments) {
    const worker = killableWorker();
    const store = await openStore({ worker: worker.create });
    const image = await store.create(name, { size: BLOCK * BLOCKS, ...shape });
    const ledger = new Ledger();
    const writing = codeOf(ledger.write(image));
    await moment(ledger);
    worker.kill();
    expect(await writing).toBe('failed');
    await store.close();

    const next = await openStore();
    const again = await next.open(name, { mode: 'readwrite' });
    expect(await again.check()).toMatchObject({ corruptions: 0, checkErrors: 0 });
    await ledger.judge(again);
    // It goes on as if nothing had happened.
    await again.write(0, noise(BLOCK, 1));
    await again.close();
    const reader = await next.open(name);
    const into = new Uint8Array(BLOCK);
    await reader.read(0, into);
    expect(firstDifference(into, noise(BLOCK, 1))).toBe(-1);
    await next.close();
  }
});

test('with lazy refcounts it is marked dirty, opens for reading, and has what was flushed', async () => {
  const worker = killableWorker();
  const store = await openStore({ worker: worker.create });
  const image = await store.create('disk', { size: BLOCK * BLOCKS, lazyRefcounts: true });
  const ledger = new Ledger();
  const writing = codeOf(ledger.write(image));
  await new Promise((resolve) => setTimeout(resolve, 150));
  worker.kill();
  expect(await writing).toBe('failed');
  const next = await openStore();
  expect(await codeOf(next.open('disk', { mode: 'readwrite' }))).toBe('needs-repair');
  const again = await next.open('disk');
  expect(again.info.dirty).toBe(true);
  await ledger.judge(again);
  await next.close();
});
