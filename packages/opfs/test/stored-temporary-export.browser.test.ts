/**
 * Temporary exports of stored images, through the real worker and the real OPFS: the disk or the file as it is, and
 * nothing left.
 */
import { isQcow2Error } from 'qcow2';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { longFile, mixedImage } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, packageFiles } from './support/opfs.js';
import { errorOf } from './support/outcomes.js';

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
});
afterEach(() => store.close());
afterAll(clearStorage);

test('a temporary export has the bytes of the disk or of the file, and is deleted by remove', async () => {
  const { file, guest } = await mixedImage();
  await store.import('a', file);
  const raw = await store.temporaryExport('a', { format: 'raw' });
  expect(firstDifference(await bytesOf(raw.file), guest)).toBe(-1);
  const copy = await store.temporaryExport('a', { format: 'qcow2' });
  expect(firstDifference(await bytesOf(copy.file), await bytesOf(file))).toBe(-1);
  expect((await packageFiles()).length).toBe(3);
  await raw.remove();
  await copy.remove();
  await copy.remove();
  expect((await packageFiles()).length).toBe(1);
});

test('an image can be renamed and removed after a temporary export, which is a copy', async () => {
  const { file } = await mixedImage();
  await store.import('a', file);
  const copy = await store.temporaryExport('a', { format: 'qcow2' });
  await store.rename('a', 'b');
  await store.remove('b');
  expect(firstDifference(await bytesOf(copy.file), await bytesOf(file))).toBe(-1);
});

test('a failed or aborted call leaves no temporary export', async () => {
  // Short ones are complete before anybody can abort.
  await store.import('a', await longFile(128));
  expect(isQcow2Error(await errorOf(store.temporaryExport('b', { format: 'qcow2' })), 'not-found')).toBe(true);
  expect(await errorOf(store.temporaryExport('a', { format: 'vmdk' as 'raw' }))).toBeInstanceOf(TypeError);
  const controller = new AbortController();
  const reason = new Error('enough');
  const onProgress = (): void => controller.abort(reason);
  expect(await errorOf(store.temporaryExport('a', { format: 'qcow2', signal: controller.signal, onProgress }))).toBe(
    reason,
  );
  expect((await packageFiles()).length).toBe(1);
});
