/** Files whose names something else put into the folder in another form (NFD): each is known by its normalised name. */
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { mixedImage, overlayImage } from './support/images.js';
import { clearStorage, firstDifference, leaveFile, packageFiles } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';

const NFC = 'donn\u00e9es.qcow2';
const NFD = 'donne\u0301es.qcow2';

let store: Store;
let guest: Uint8Array;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
  const image = await mixedImage();
  ({ guest } = image);
  await leaveFile(NFD, await image.file.arrayBuffer());
});
afterEach(() => store.close());
afterAll(clearStorage);

test.each([NFC, NFD])('it is listed, opened, written and exported, and its name is not free (%#)', async (name) => {
  expect((await store.list()).map((listed) => [listed.name, listed.error])).toEqual([[NFC, undefined]]);
  const image = await store.open(name);
  const into = new Uint8Array(guest.length);
  await image.read(0, into);
  expect(firstDifference(into, guest)).toBe(-1);
  expect(await codeOf(store.open(name, { mode: 'readwrite' }))).toBe('locked');
  await image.close();
  await (await store.open(name, { mode: 'readwrite' })).close();
  expect(await codeOf(store.create(name, { size: 512 }))).toBe('exists');
  expect(await packageFiles()).toEqual([NFD]);
});

test('it is recognised as a base, and not removed', async () => {
  await store.import('overlay', overlayImage(`../${NFD}`, guest.length).file);
  expect((await store.list()).find(({ name }) => name === NFC)?.overlays).toEqual(['overlay']);
  expect(await codeOf(store.remove(NFC))).toBe('locked');
  expect(await codeOf(store.open('overlay'))).toBe('fulfilled');
});

test('it is renamed and removed', async () => {
  await store.rename(NFD, 'other');
  expect(await packageFiles()).toEqual(['other']);
  await store.rename('other', NFD);
  expect(await packageFiles()).toEqual([NFC]);
  await store.remove(NFD);
  expect(await packageFiles()).toEqual([]);
});

test('if both forms exist, the normalised one is used', async () => {
  expect(await codeOf(store.import(NFC, (await mixedImage()).file))).toBe('exists');
  await leaveFile(NFC, 'no image');
  expect((await store.list()).map(({ name, error }) => [name, error?.code])).toEqual([[NFC, 'not-qcow2']]);
});
