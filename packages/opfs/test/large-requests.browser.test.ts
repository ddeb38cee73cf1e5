/**
 * Requests that cross in several messages: what arrives, in which order, and what is left when one fails or is aborted.
 */
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { CLUSTER, repeatedImage } from './support/images.js';
import { clearStorage, firstDifference } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';
import { killableWorker } from './support/workers.js';

const MIB = 2 ** 20;
/** The most that one message may carry. */
const MAX_MESSAGE_BYTES = 32 * MIB;

let store: Store;
/** The bytes of the buffers that each message took along, to the worker and from it. */
let transferred: number[];

beforeEach(async () => {
  await clearStorage();
  transferred = [];
  const { create } = killableWorker();
  store = await openStore({
    worker: () => {
      const worker = create();
      const post = worker.postMessage.bind(worker);
      worker.postMessage = (message: unknown, transfer?: unknown) => {
        const list = (transfer ?? []) as ArrayBuffer[];
        transferred.push(list.reduce((sum, { byteLength }) => sum + (byteLength ?? 0), 0));
        post(message, list);
      };
      worker.addEventListener('message', ({ data }) => {
        const value = (data as { value?: { value?: unknown } }).value?.value;
        if (value instanceof ArrayBuffer) transferred.push(value.byteLength);
      });
      return worker;
    },
  });
});
afterEach(() => store.close());
afterAll(clearStorage);

/** Where the last byte is that was filled; -1 when none was. */
function lastNonZero(bytes: Uint8Array): number {
  let at = bytes.length - 1;
  while (at >= 0 && bytes[at] === 0) at--;
  return at;
}

test('a large read takes several messages, and every byte is correct', async () => {
  const { file, cluster } = repeatedImage(2000, 16);
  const image = await store.openFile(file);
  const into = new Uint8Array(100 * MIB + 5);
  await image.read(CLUSTER, into);
  for (let at = 0; at < into.length; at += CLUSTER) {
    const part = into.subarray(at, at + CLUSTER);
    expect(firstDifference(part, cluster.subarray(0, part.length))).toBe(-1);
  }
  expect(Math.max(...transferred)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
});

test('a batch of large and small buffers takes several messages, and every byte is correct', async () => {
  const { file, cluster } = repeatedImage(1000, 16);
  const image = await store.openFile(file);
  const batch = [10, 33 * MIB, 0, 5 * MIB, 7].map((length, index) => ({
    at: index * CLUSTER,
    bytes: new Uint8Array(length),
  }));
  await image.readBatch(batch);
  for (const { bytes } of batch) {
    for (let at = 0; at < bytes.length; at += CLUSTER) {
      const part = bytes.subarray(at, at + CLUSTER);
      expect(firstDifference(part, cluster.subarray(0, part.length))).toBe(-1);
    }
  }
  expect(Math.max(...transferred)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
});

test('a large write takes several messages, and keeps its order among other calls', async () => {
  const image = await store.create('disk', { size: 128 * MIB });
  const large = new Uint8Array(80 * MIB).fill(1);
  const before = image.write(0, new Uint8Array(80 * MIB).fill(9));
  const writing = image.write(0, large);
  const small = image.write(79 * MIB, new Uint8Array(10).fill(2));
  const into = new Uint8Array(20);
  const reading = image.read(79 * MIB, into);
  const closing = (async () => {
    await Promise.all([before, writing, small, reading, image.flush()]);
    await image.close();
  })();
  await closing;
  expect([...into]).toEqual([...new Array(10).fill(2), ...new Array(10).fill(1)]);
  expect(Math.max(...transferred)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
  const again = await store.open('disk');
  const all = new Uint8Array(80 * MIB);
  await again.read(0, all);
  large.fill(2, 79 * MIB, 79 * MIB + 10);
  expect(firstDifference(all, large)).toBe(-1);
});

test('close waits for a large write that was called before it', async () => {
  const image = await store.create('disk', { size: 128 * MIB });
  const writing = image.write(0, new Uint8Array(70 * MIB).fill(3));
  const after = image.write(70 * MIB, new Uint8Array(5).fill(4));
  await image.close();
  await Promise.all([writing, after]);
  const again = await store.open('disk');
  const into = new Uint8Array(10);
  await again.read(70 * MIB - 5, into);
  expect([...into]).toEqual([3, 3, 3, 3, 3, 4, 4, 4, 4, 4]);
});

test('an abort in the middle rejects with its reason, fills nothing more, and the next call is sent', async () => {
  const image = await store.openFile(repeatedImage(2048, 16).file);
  const controller = new AbortController();
  const into = new Uint8Array(128 * MIB);
  const reading = image.read(0, into, { signal: controller.signal });
  controller.abort('stop');
  await expect(reading).rejects.toBe('stop');
  const end = lastNonZero(into);
  await image.read(0, new Uint8Array(10));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(lastNonZero(into)).toBe(end);
});

test('close ends a large read with `closed`', async () => {
  const image = await store.openFile(repeatedImage(4000).file);
  const reading = codeOf(image.read(0, new Uint8Array(200 * MIB)));
  await image.close();
  expect(await reading).toBe('closed');
});

test('a failure in the middle of a large write has its code, and the bytes before it are written', async () => {
  const image = await store.create('disk', { size: 64 * MIB, backingFile: 'missing', backingFormat: 'qcow2' });
  // The rest of its last cluster must be copied from the backing file.
  const bytes = new Uint8Array(40 * MIB + 10).fill(5);
  expect(await codeOf(image.write(0, bytes))).toBe('reference-refused');
  const into = new Uint8Array(32 * MIB);
  await image.read(0, into);
  expect(firstDifference(into, new Uint8Array(32 * MIB).fill(5))).toBe(-1);
});

test('a large request that ends past the disk is refused before any of it is sent', async () => {
  const image = await store.create('disk', { size: 64 * MIB });
  const bytes = new Uint8Array(40 * MIB).fill(5);
  const details = { what: 'request', at: 25 * MIB, length: 40 * MIB, size: 64 * MIB };
  const batch = [
    { at: 0, bytes },
    { at: 25 * MIB, bytes },
  ];
  await expect(image.write(25 * MIB, bytes, { transfer: true })).rejects.toMatchObject({
    code: 'out-of-range',
    details,
  });
  expect(bytes.length).toBe(40 * MIB);
  await expect(image.writeBatch(batch)).rejects.toMatchObject({ code: 'out-of-range', details });
  await expect(image.readBatch(batch)).rejects.toMatchObject({ code: 'out-of-range', details });
  expect(firstDifference(bytes, new Uint8Array(40 * MIB).fill(5))).toBe(-1);
  await expect(image.write(0.5, bytes)).rejects.toThrow(RangeError);
  expect(Math.max(...transferred)).toBe(0);
  expect(await image.seekData(0)).toBe(undefined);
});

test('a buffer that is transferred during a large write is a TypeError', async () => {
  const image = await store.create('disk', { size: 128 * MIB });
  const bytes = new Uint8Array(100 * MIB).fill(6);
  const writing = image.write(0, bytes);
  const expecting = expect(writing).rejects.toThrow(TypeError);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  await expecting;
  await image.write(0, new Uint8Array(10));
});
