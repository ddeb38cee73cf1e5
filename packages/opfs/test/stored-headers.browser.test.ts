/** What a store reads to list its images, and to know their bases: headers alone, once, until a file changes. */
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { buildImage } from '../../core/test/support/image-builder.js';
import { openStore, type Store } from '../src/index.js';
import { mixedImage, overlayImage } from './support/images.js';
import { bytesOf, clearStorage, leaveFile, packageFiles } from './support/opfs.js';
import { codeOf, errorOf } from './support/outcomes.js';
import { readCountingWorker } from './support/workers.js';

/** Files older than this are remembered, in milliseconds. */
const RECENT = 2000;
const HEADER = 65_536;

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore({ worker: readCountingWorker });
});
afterEach(() => store.close());
afterAll(clearStorage);

/** What the worker has asked of its files since the last time. */
function looks(): Promise<{ getFile: number; read: number; bytes: number }> {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel('reads');
    channel.onmessage = ({ data }) => {
      channel.close();
      resolve(data);
    };
    channel.postMessage('tell');
  });
}

/** Puts that many images into the store's folder, and waits until they are no more recent. */
async function fill(count: number): Promise<void> {
  const bytes = await bytesOf((await mixedImage()).file);
  await Promise.all(Array.from({ length: count }, (_, i) => leaveFile(`image-${i}`, bytes.buffer)));
  await leaveFile('overlay', await overlayImage('image-0', 2 ** 20).file.arrayBuffer());
  await new Promise((resolve) => setTimeout(resolve, RECENT + 100));
}

test('a removal reads the header of each image once, and later ones read none', async () => {
  const count = 40;
  await fill(count);
  await looks();
  await store.remove('image-1');
  const first = await looks();
  expect(first.read).toBe(count + 1);
  expect(first.bytes).toBeLessThanOrEqual((count + 1) * HEADER);
  // Each file is asked for its size and date before the lock is waited for, and again under it.
  expect(first.getFile).toBeLessThanOrEqual(2 * (count + 1));

  await store.remove('image-2');
  await store.rename('image-3', 'renamed');
  expect(await errorOf(store.remove('image-0'))).toMatchObject({ details: { overlays: ['overlay'] } });
  expect((await looks()).read).toBe(1); // the renamed one, under its new name
});

test('a list reads one header of each image, whatever tables it has, and the next one reads none', async () => {
  await fill(3);
  // An L1 table of 16 MiB.
  await (await store.create('large', { size: 2 ** 36, clusterSize: 512 })).close();
  const snapshots = Array.from({ length: 50 }, (_, index) => ({ id: `${index}`, name: `snapshot ${index}` }));
  await leaveFile('snapshots', buildImage({ size: 2 ** 20, snapshots }).bytes.buffer);
  await new Promise((resolve) => setTimeout(resolve, RECENT + 100));
  await looks();
  const listed = await store.list();
  expect(listed.map(({ name, error }) => [name, error])).toEqual(
    ['image-0', 'image-1', 'image-2', 'large', 'overlay', 'snapshots'].map((name) => [name, undefined]),
  );
  const first = await looks();
  expect(first.read).toBe(6);
  expect(first.bytes).toBeLessThanOrEqual(6 * HEADER);
  expect(await store.list()).toEqual(listed);
  expect(await store.stat('image-0')).toEqual(listed[0]);
  expect((await looks()).read).toBe(0);
});

test('a changed file is read again, and new and removed files are detected', async () => {
  await fill(3);
  expect(await codeOf(store.remove('image-0'))).toBe('locked');
  await leaveFile('overlay', await overlayImage('image-1', 2 ** 20).file.arrayBuffer());
  expect(await codeOf(store.remove('image-1'))).toBe('locked');
  await store.remove('image-0');
  await store.import('second', overlayImage('image-1', 2 ** 20).file);
  expect(await errorOf(store.remove('image-1'))).toMatchObject({ details: { overlays: ['overlay', 'second'] } });
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('qcow2');
  for (const name of ['overlay', 'second']) await folder.removeEntry(name);
  await store.remove('image-1');
  expect(await packageFiles()).toEqual(['image-2']);
});

test('a file that is rewritten immediately with the same length is read again', async () => {
  await fill(2);
  for (let round = 0; round < 6; round++) {
    const [base, other] = round % 2 === 0 ? ['image-0', 'image-1'] : ['image-1', 'image-0'];
    await leaveFile('overlay', await overlayImage(base, 2 ** 20).file.arrayBuffer());
    const overlays = (await store.list()).filter((image) => image.overlays.length > 0).map(({ name }) => name);
    expect(overlays).toEqual([base]);
    expect(await codeOf(store.rename(base, 'free'))).toBe('locked');
    await store.rename(other, 'free');
    await store.rename('free', other);
  }
});

test('an overlay whose tables are damaged still protects its base', async () => {
  await store.import('base', (await mixedImage()).file);
  const bytes = await bytesOf(overlayImage('base', 2 ** 20).file);
  // The L1 table's offset, which must be a multiple of the cluster size.
  new DataView(bytes.buffer).setBigUint64(40, 1n);
  await leaveFile('overlay', bytes.buffer);
  expect(await errorOf(store.remove('base'))).toMatchObject({ details: { overlays: ['overlay'] } });
  expect((await store.list()).map(({ overlays }) => overlays)).toEqual([['overlay'], []]);
  await store.remove('overlay');
  await store.remove('base');
});
