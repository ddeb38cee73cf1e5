/** Requests that wait on the page behind a large one of their image: how they are aborted, and what they take along. */
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { host } from '../../core/test/support/http/hosted.js';
import { openStore, type Store, type WorkerImage } from '../src/index.js';
import { calledMethod } from './support/called-method.js';
import { repeatedImage } from './support/images.js';
import { bytesOf, clearStorage } from './support/opfs.js';
import { killableWorker } from './support/workers.js';

const MIB = 2 ** 20;

let store: Store;
/** The methods of the worker that were called, in order. */
let called: string[];

beforeEach(async () => {
  await clearStorage();
  called = [];
  const { create } = killableWorker();
  store = await openStore({
    worker: () => {
      const worker = create();
      const post = worker.postMessage.bind(worker);
      worker.postMessage = (message: unknown, transfer?: unknown) => {
        called.push(calledMethod(message));
        post(message, transfer as Transferable[]);
      };
      return worker;
    },
  });
});
afterEach(() => store.close());
afterAll(clearStorage);

/** An image on a server that has fallen silent, and a large read of it that waits for that, until `stop`. */
async function stuckImage(): Promise<{ image: WorkerImage; stop: () => Promise<void> }> {
  const file = await host(await bytesOf(repeatedImage(2000).file));
  const image = await store.openFile({ url: file.url, timeout: 60_000, retries: 0, cacheBytes: 0 });
  await file.plan({ faults: Array.from({ length: 16 }, () => ({ kind: 'silence' as const })) });
  const controller = new AbortController();
  const reading = image
    .read(0, new Uint8Array(100 * MIB), { signal: controller.signal })
    .catch((error: unknown) => error);
  const stop = async (): Promise<void> => {
    controller.abort('stop');
    expect(await reading).toBe('stop');
  };
  return { image, stop };
}

test('an abort rejects immediately with its reason, and nothing is sent', async () => {
  const { image, stop } = await stuckImage();
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = [
    image.read(0, new Uint8Array(10), { signal }),
    image.read(0, new Uint8Array(new SharedArrayBuffer(10)), { signal }),
    image.read(0, new Uint8Array(40 * MIB), { signal }),
    image.check({ signal }),
    image.temporaryExport({ format: 'raw', signal }),
    image.map(undefined, { signal }).next(),
    image.dirtyRanges('none', { signal }).next(),
    image.readable(undefined, { signal }).getReader().read(),
  ].map((request) => request.catch((error: unknown) => error));
  called = [];
  controller.abort('given up');
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => 'given up'));
  const late = image.read(0, new Uint8Array(10), { signal });
  await expect(late).rejects.toBe('given up');
  await stop();
  await image.stats();
  expect(called.filter((name) => !['abort', 'stats', 'ping', 'release'].includes(name))).toEqual([]);
});

test('a cursor that is left while it waits is released in the worker', async () => {
  const { image, stop } = await stuckImage();
  const reader = image.readable().getReader();
  const waiting = reader.read();
  await reader.cancel();
  expect(await waiting).toMatchObject({ done: true });
  await stop();
  await image.stats();
  const opened = called.lastIndexOf('stream');
  if (opened >= 0) await expect.poll(() => called.lastIndexOf('release')).toBeGreaterThan(opened);
});

test('transferred bytes are detached by the call, and cannot be transferred again', async () => {
  const image = await store.create('disk', { size: 128 * MIB });
  const large = image.write(0, new Uint8Array(80 * MIB));
  const bytes = new Uint8Array(1000).fill(7);
  const first = image.write(100 * MIB, bytes.subarray(100), { transfer: true });
  expect(bytes.buffer.byteLength).toBe(0);
  await expect(image.write(0, bytes, { transfer: true })).rejects.toThrow(TypeError);
  const huge = new Uint8Array(40 * MIB).fill(8);
  const second = image.write(0, huge, { transfer: true });
  expect(huge.buffer.byteLength).toBe(0);
  await Promise.all([large, first, second]);
  const into = new Uint8Array(901);
  await image.read(100 * MIB, into);
  expect(into).toEqual(new Uint8Array(901).fill(7, 0, 900));
  await image.read(40 * MIB - 1, into);
  expect(into).toEqual(new Uint8Array(901).fill(8, 0, 1));
});

test('memory that cannot be detached is a TypeError, and the image can be written', async () => {
  const image = await store.create('disk', { size: MIB });
  const bytes = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 10, 100).fill(3);
  await expect(image.write(0, bytes, { transfer: true })).rejects.toThrow(TypeError);
  await image.write(0, bytes);
  const into = new Uint8Array(1);
  await image.read(99, into);
  expect(into[0]).toBe(3);
});

test('a temporary export has what was written before it', async () => {
  const image = await store.create('disk', { size: 64 * MIB });
  const writing = image.write(0, new Uint8Array(64 * MIB).fill(5));
  const { file } = await image.temporaryExport({ format: 'raw' });
  await writing;
  expect(new Uint8Array(await file.slice(-2).arrayBuffer())).toEqual(new Uint8Array([5, 5]));
});
