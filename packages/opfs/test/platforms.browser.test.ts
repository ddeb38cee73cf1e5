/**
 * A store where the platform lacks something: storage that is refused, as in private windows, and files that cannot be
 * moved.
 */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../src/index.js';
import { CLUSTER, mixedImage, noise, overlayImage } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, packageFiles, targetFile } from './support/opfs.js';
import { codeOf, drain } from './support/outcomes.js';
import { workerWithoutMove, workerWithoutStorage } from './support/workers.js';

beforeEach(clearStorage);
afterAll(clearStorage);

describe('where storage is refused', () => {
  test('every verb of stored images is unavailable, and files still open', async () => {
    const store = await openStore({ worker: workerWithoutStorage });
    const { file, guest } = await mixedImage();
    const to = await targetFile();
    const uses = [
      store.list(),
      store.create('disk', { size: 512 }),
      store.import('disk', file),
      store.import('disk', file.stream()),
      store.open('disk'),
      store.export('disk', { format: 'raw' }),
      store.export('disk', { format: 'qcow2', to }),
      store.rename('disk', 'other'),
      store.remove('disk'),
    ].map(codeOf);
    expect(await Promise.all(uses)).toEqual(uses.map(() => 'unavailable'));
    expect(store.persistence).not.toBe('memory');
    expect((await store.openFile(file)).size).toBe(guest.length);
    await store.close();
  });

  test('images are in memory with the fallback', async () => {
    const store = await openStore({ worker: workerWithoutStorage, fallback: 'memory' });
    expect(store.persistence).toBe('memory');
    expect(await store.persist()).toBe(false);
    expect(store.persistence).toBe('memory');
    expect(await store.estimate()).toEqual({ usage: 0, quota: Number.POSITIVE_INFINITY });
    const { file, guest } = await mixedImage();
    await store.import('base', file);
    await store.import('streamed', file.stream());
    const image = await store.create('new', { size: 2 ** 30, backingFile: 'base', backingFormat: 'qcow2' });
    const into = new Uint8Array(guest.length);
    await image.read(0, into);
    expect(firstDifference(into, guest)).toBe(-1);
    await image.write(CLUSTER, noise(CLUSTER, 5));
    await image.close();
    const overlay = await store.open('new');
    await overlay.read(CLUSTER, into.subarray(0, CLUSTER));
    expect(firstDifference(into.subarray(0, CLUSTER), noise(CLUSTER, 5))).toBe(-1);
    expect((await store.list()).map(({ name, info, overlays }) => [name, info?.virtualSize, overlays])).toEqual([
      ['base', guest.length, ['new']],
      ['new', 2 ** 30, []],
      ['streamed', guest.length, []],
    ]);
    expect((await store.estimate()).usage).toBeGreaterThan(2 * file.size);

    expect(await codeOf(store.remove('base'))).toBe('locked');
    expect(await codeOf(store.rename('new', 'base'))).toBe('exists');
    expect(await codeOf(store.rename('new', 'newer'))).toBe('locked');
    await overlay.close();
    await store.rename('new', 'newer');
    await store.remove('newer');
    await store.rename('base', 'disk');

    expect(firstDifference(await drain(await store.export('disk', { format: 'raw' })), guest)).toBe(-1);
    const to = await targetFile();
    await store.export('disk', { format: 'qcow2', to });
    expect(firstDifference(await bytesOf(await to.getFile()), await bytesOf(file))).toBe(-1);
    expect(firstDifference(await drain(await store.export('streamed', { format: 'qcow2' })), await bytesOf(file))).toBe(
      -1,
    );
    expect(await codeOf(store.import('foreign', new Blob([noise(100_000, 1)])))).toBe('not-qcow2');
    expect((await store.list()).map(({ name }) => name)).toEqual(['disk', 'streamed']);
    await store.close();
  });

  test('the memory of one store is not shared with another', async () => {
    const one = await openStore({ worker: workerWithoutStorage, fallback: 'memory' });
    const other = await openStore({ worker: workerWithoutStorage, fallback: 'memory' });
    const image = await one.create('disk', { size: 512 });
    expect(await other.list()).toEqual([]);
    await (await other.create('disk', { size: 1024 })).close();
    // A lock of the one is none of the other.
    await other.remove('disk');
    expect(image.size).toBe(512);
    await Promise.all([one.close(), other.close()]);
  });

  test('the fallback is not used where storage works, and other fallbacks are refused', async () => {
    const store = await openStore({ fallback: 'memory' });
    expect(store.persistence).not.toBe('memory');
    await (await store.create('disk', { size: 512 })).close();
    expect(await packageFiles()).toEqual(['disk']);
    await store.close();
    await expect(openStore({ fallback: 'disk' as 'memory' })).rejects.toThrow(TypeError);
  });
});

test('files that cannot be moved are copied', async () => {
  const store = await openStore({ worker: workerWithoutMove });
  const { file, guest } = await mixedImage();
  // Longer than one chunk of the copy, and no multiple of it.
  const long = new File([file, noise(3_000_001, 5)], 'long');
  await store.import('base', long);
  await store.rename('base', 'renamed');
  const overlay = overlayImage('renamed', guest.length);
  await store.import('overlay', overlay.file);
  expect(await packageFiles()).toEqual(['overlay', 'renamed']);
  const stored = await drain(await store.export('renamed', { format: 'qcow2' }));
  expect(firstDifference(stored, await bytesOf(long))).toBe(-1);
  const into = new Uint8Array(2 * CLUSTER);
  await (await store.open('overlay')).read(0, into);
  expect(firstDifference(into.subarray(CLUSTER), overlay.own)).toBe(-1);
  expect(firstDifference(into.subarray(0, CLUSTER), guest.subarray(0, CLUSTER))).toBe(-1);
  await store.close();
});

test('a store without images creates no folder', async () => {
  const store = await openStore();
  await (await store.openFile((await mixedImage()).file)).close();
  await store.close();
  const root = await navigator.storage.getDirectory();
  await expect(root.getDirectoryHandle('qcow2')).rejects.toMatchObject({ name: 'NotFoundError' });
});
