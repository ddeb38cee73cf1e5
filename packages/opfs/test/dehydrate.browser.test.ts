/** Dehydrating across the real worker: the file, its options, and how it ends early. */
import { bufferDevice, type Progress, Qcow2Image, rehydrate } from 'qcow2';
import { expect, test } from 'vitest';
import type { Store, WorkerImage } from '../src/index.js';
import { withEmptyStore } from './support/empty-store.js';
import { mixedImage } from './support/images.js';

let store: Store;
withEmptyStore((opened) => {
  store = opened;
});

/** A stored image, open for writing, whose dehydrated file takes many chunks. */
function largeImage(name: string): Promise<WorkerImage> {
  return store.create(name, { size: 2 ** 30, clusterSize: 4096, preallocation: 'metadata' });
}

test('the file of an image has its report and its information, in a few KiB', async () => {
  await using image = await store.openFile((await mixedImage()).file);
  const reports: Progress[] = [];
  const device = bufferDevice();
  const file = await new Response(image.dehydrate({ onProgress: (progress) => reports.push(progress) })).blob();
  await rehydrate(file, device);
  await using again = await Qcow2Image.open(device);
  expect(await again.check()).toEqual(await image.check());
  expect(again.info).toEqual(image.info);
  expect(file.size).toBeLessThan(4096);
  expect(reports.at(-1)).toMatchObject({ phase: 'dehydrate', done: reports.at(-1)!.total });
});

test('an image itself is refused as what it is', async () => {
  const { file } = await mixedImage();
  for (const from of [file, file.stream()]) {
    await expect(rehydrate(from, bufferDevice())).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringMatching(/^This is a qcow2 image, not a dehydrated file/),
    });
  }
});

test('an option crosses, and a stream can be rehydrated as it comes', async () => {
  await using base = await store.create('secret-base', { size: 2 ** 20 });
  await base.close();
  await using overlay = await store.create('overlay', {
    size: 2 ** 20,
    backingFile: 'secret-base',
    backingFormat: 'qcow2',
  });
  await overlay.write(0, new Uint8Array(100).fill(7));
  const device = bufferDevice();
  await rehydrate(overlay.dehydrate({ names: false }), device);
  await using again = await Qcow2Image.open(device);
  expect(again.info.backingFile).toBe('x'.repeat(11));
  expect(await again.check()).toMatchObject({ corruptions: 0, leaks: 0, allocatedClusters: 1 });
});

test('an abort errors the stream with the reason, a cancel ends it, and changes go on after both', async () => {
  await using image = await largeImage('ended');
  const abort = new AbortController();
  const reason = { enough: true };
  const aborted = image.dehydrate({ signal: abort.signal }).getReader();
  await aborted.read();
  abort.abort(reason);
  await expect(aborted.read()).rejects.toBe(reason);
  await image.write(0, new Uint8Array(512));
  const cancelled = image.dehydrate().getReader();
  await cancelled.read();
  await cancelled.cancel();
  await image.write(0, new Uint8Array(512));
  const closed = image.dehydrate().getReader();
  await closed.read();
  await image.close();
  const rest = async (): Promise<void> => {
    while (!(await closed.read()).done);
  };
  await expect(rest()).rejects.toMatchObject({ name: 'Qcow2Error', code: 'closed' });
});

test('a stream of shared memory is rehydrated', async () => {
  await using image = await store.openFile((await mixedImage()).file);
  const file = new Uint8Array(await new Response(image.dehydrate()).arrayBuffer());
  const shared = new Uint8Array(new SharedArrayBuffer(file.length));
  shared.set(file);
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(shared);
      controller.close();
    },
  });
  const device = bufferDevice();
  await rehydrate(stream, device);
  expect(device.size).toBe(image.info.fileSize);
});

test('what is no dehydrated file is refused in words', async () => {
  const refused = rehydrate(new Blob(['no such thing']), bufferDevice());
  await expect(refused).rejects.toMatchObject({ code: 'corrupt', details: { at: 0 } });
  const truncated = new Response((await store.openFile((await mixedImage()).file)).dehydrate()).blob();
  const part = (await truncated).slice(0, -5);
  await expect(rehydrate(part, bufferDevice())).rejects.toMatchObject({ code: 'corrupt' });
});
