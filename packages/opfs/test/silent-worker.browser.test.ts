/**
 * A worker that does not answer any more, though its lock is held: what waits for it ends, and what only takes long
 * does not.
 */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../src/index.js';
import { Connection } from '../src/page/connection.js';
import { WorkerStore } from '../src/page/worker-store.js';
import { repeatedImage } from './support/images.js';
import { clearStorage } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';
import { blockingWorker, killableWorker, slowWorker, workerWithOtherLocks } from './support/workers.js';

beforeEach(clearUp);
afterAll(clearUp);

/** The files of a worker that was ended while it was blocked are in use for a moment yet. */
async function clearUp(): Promise<void> {
  const until = performance.now() + 10_000;
  while ((await codeOf(clearStorage())) !== 'fulfilled' && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A store over a worker that is given up after six pings in a row without an answer. */
async function storeOver(worker: () => Worker, pingEvery: number): Promise<WorkerStore> {
  const connection = await Connection.start(worker, { pingEvery });
  await connection.call((remote) => remote.useStorage({ directory: 'qcow2', fallback: null }));
  return new WorkerStore(connection, 'best-effort');
}

describe('a worker that is blocked', () => {
  test('fails every call that waits for it and every later one, and lets its store close', async () => {
    const store = await storeOver(blockingWorker, 100);
    const image = await store.create('disk', { size: 2 ** 20 }).catch((error: unknown) => error);
    expect(image).toMatchObject({
      code: 'failed',
      message: expect.stringMatching(/no longer responds.* reload the page/),
    });
    expect(await Promise.all([store.list(), store.create('other', { size: 512 })].map(codeOf))).toEqual([
      'failed',
      'failed',
    ]);
    await store.close();
  });

  test('lets its store close while it is blocked', async () => {
    const store = await storeOver(blockingWorker, 100);
    const creating = codeOf(store.create('disk', { size: 2 ** 20 }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await store.close();
    expect(await creating).toBe('closed');
  });
});

test('a worker that is busy for long is not treated as dead', async () => {
  const { create } = killableWorker();
  // Six of these pings pass while the image is read.
  const store = await storeOver(create, 500);
  const { file } = repeatedImage(16_384);
  const image = await store.openFile(file);
  const until = performance.now() + 5000;
  while (performance.now() < until) {
    const codes = await Promise.all([image.check(), image.read(0, new Uint8Array(2 ** 24)), store.list()].map(codeOf));
    expect(codes).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  }
  await store.close();
});

describe('a worker on a slow medium is not treated as dead', () => {
  const LENGTH = 192 * 2 ** 20;
  const memories: [string, () => Uint8Array, boolean][] = [
    ['bytes that are transferred', () => new Uint8Array(LENGTH), true],
    ['bytes that are shared', () => new Uint8Array(new SharedArrayBuffer(LENGTH)), false],
    ['bytes that are copied', () => new Uint8Array(LENGTH), false],
  ];

  test.each(memories)('while %s are written and read', async (_, make, transfer) => {
    // It is given up after 2.1 s in which no message came; each of these requests takes 3 s at least.
    const store = await storeOver(slowWorker, 300);
    const image = await store.create('disk', { size: LENGTH });
    const bytes = make();
    for (let at = 0; at < LENGTH; at += 2 ** 20) bytes[at] = at / 2 ** 20;
    await image.write(0, bytes, { transfer });
    const into = make();
    await image.read(0, into);
    for (let at = 0; at < LENGTH; at += 2 ** 20) expect(into[at]).toBe(at / 2 ** 20);
    await image.close();
    await store.close();
  });
});

describe('a worker that shares no locks with its page', () => {
  test('is not treated as dead', async () => {
    const store = await openStore({ worker: workerWithOtherLocks().create });
    const image = await store.create('disk', { size: 2 ** 20 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await image.close();
    expect(await store.list()).toHaveLength(1);
    await store.close();
  });

  test('is detected as dead when a call waits for it', async () => {
    const { create, kill } = workerWithOtherLocks();
    const store = await storeOver(create, 100);
    kill();
    expect(await codeOf(store.list())).toBe('failed');
    await store.close();
  });
});
