/**
 * What crosses between page and worker: how many messages, which buffers travel, and that what is left early is freed.
 */
import { afterEach, beforeEach, expect, type MockInstance, test, vi } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { calledMethod } from './support/called-method.js';
import { CLUSTER, mixedImage, scatteredImage } from './support/images.js';
import { firstDifference } from './support/opfs.js';
import { killableWorker } from './support/workers.js';

let store: Store;
let posted: MockInstance<Worker['postMessage']>;
/** Messages that have come from the worker. */
let received: number;

beforeEach(async () => {
  const { create } = killableWorker();
  store = await openStore({
    worker: () => {
      const worker = create();
      posted = vi.spyOn(worker, 'postMessage');
      received = 0;
      worker.addEventListener('message', () => received++);
      return worker;
    },
  });
});
afterEach(() => store.close());

/** The names of the worker's methods that were called, in order. */
function called(): string[] {
  return posted.mock.calls.map(([message]) => calledMethod(message));
}

/** The lengths of the buffers that the last message took along, before they were detached. */
function trackTransfers(): number[][] {
  const lengths: number[][] = [];
  const real = posted.getMockImplementation() ?? Worker.prototype.postMessage;
  posted.mockImplementation(function (this: Worker, message: unknown, transfer?: unknown) {
    const list = (transfer ?? []) as ArrayBuffer[];
    lengths.push(list.map((buffer) => buffer.byteLength));
    Reflect.apply(real, this, [message, list]);
  });
  return lengths;
}

test('a buffer goes back to the worker with the next request that it fits', async () => {
  const image = await store.openFile((await mixedImage()).file);
  const lengths = trackTransfers();
  await image.read(0, new Uint8Array(1000));
  await image.read(0, new Uint8Array(60_000));
  await image.read(0, new Uint8Array(100_000));
  await image.read(0, new Uint8Array(1000));
  await image.read(0, new Uint8Array(120_000));
  expect(lengths).toEqual([[], [65536], [], [65536], [131072]]);
});

test('a batch is one message, and shared memory needs no buffer in it', async () => {
  const { file, guest } = await mixedImage();
  const image = await store.openFile(file);
  await image.read(0, new Uint8Array(1000));
  const lengths = trackTransfers();
  const pieces = Array.from({ length: 50 }, (_, i) => ({
    at: i * 999,
    bytes: new Uint8Array(new SharedArrayBuffer(100)),
  }));
  await image.readBatch(pieces);
  expect(lengths).toEqual([[]]);
  for (const { at, bytes } of pieces) expect(firstDifference(bytes, guest.subarray(at, at + 100))).toBe(-1);
});

test('an aborted read rejects before the worker responds, but into shared memory after it has stopped', async () => {
  const image = await store.openFile((await mixedImage()).file);
  for (const memory of [new ArrayBuffer(image.size), new SharedArrayBuffer(image.size)]) {
    const controller = new AbortController();
    const before = received;
    const reading = image.read(0, new Uint8Array(memory), { signal: controller.signal });
    controller.abort('stop');
    await expect(reading).rejects.toBe('stop');
    if (memory instanceof ArrayBuffer) expect(received).toBe(before);
    else expect(received).toBeGreaterThan(before);
  }
});

test('4096 extents are one message', async () => {
  const image = await store.openFile(scatteredImage(4096).file);
  for await (const _ of image.map());
  const hops = called().filter((name) => name === 'next').length;
  // Two full pages and the end; a slow machine may send a page before it is full.
  expect(hops).toBeGreaterThanOrEqual(3);
  expect(hops).toBeLessThan(400);
});

test.each(['return', 'throw', 'abort'] as const)('extents left by %s are freed in the worker', async (way) => {
  const image = await store.openFile(scatteredImage(8192).file);
  const controller = new AbortController();
  const mapping = (async () => {
    for await (const extent of image.map(undefined, { signal: controller.signal })) {
      if (extent.start < 100_000) continue;
      if (way === 'return') break;
      if (way === 'throw') throw new Error('left');
      controller.abort(new Error('left'));
    }
  })();
  if (way === 'return') await mapping;
  else await expect(mapping).rejects.toThrow('left');
  expect(called().filter((name) => name === 'release')).toHaveLength(1);
  expect(called().includes('abort')).toBe(way === 'abort');
});

test('a stream is freed when it is cancelled and when it has ended, once', async () => {
  const image = await store.openFile((await mixedImage()).file);
  const reader = image.readable().getReader();
  await reader.read();
  await reader.cancel();
  expect(called().filter((name) => name === 'release')).toHaveLength(1);

  const ended = image.readable({ start: 0, length: CLUSTER }).getReader();
  while (!(await ended.read()).done);
  await ended.cancel();
  expect(called().filter((name) => name === 'release')).toHaveLength(2);
});

test('a map that is not read sends no message', async () => {
  const image = await store.openFile((await mixedImage()).file);
  image.map();
  image.readable();
  await image.stats();
  expect(called()).toEqual(['connect', 'useStorage', 'open', 'stats']);
});
