/** Backing files across the worker: the resolver runs on the page, and whatever can cross is read in the worker. */
import { type ImageReference, isQcow2Error, type Resolved } from 'qcow2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { CLUSTER, mixedImage, overlayImage, type TestImage } from './support/images.js';
import { bytesOf, firstDifference } from './support/opfs.js';
import { errorOf } from './support/outcomes.js';

let store: Store;
let base: TestImage;
beforeAll(async () => {
  store = await openStore();
  base = await mixedImage();
});
afterAll(() => store.close());

/** What an overlay over `base` reads as. */
function overlaid(own: Uint8Array): Uint8Array {
  const guest = base.guest.slice();
  guest.set(own, CLUSTER);
  return guest;
}

test.each<[string, () => Promise<Resolved>]>([
  ['a File', async () => base.file],
  ['an ArrayBuffer', () => base.file.arrayBuffer()],
  ['a Uint8Array', () => bytesOf(base.file)],
  ['a file with its format', async () => ({ source: base.file, format: 'qcow2' })],
  ['raw bytes with their format', async () => ({ source: base.guest, format: 'raw' })],
])('%s is a backing file', async (_, answer) => {
  const { file, own } = overlayImage('base.img', base.guest.length);
  const asked: ImageReference[] = [];
  const resolve = (reference: ImageReference): Promise<Resolved> => {
    asked.push(reference);
    return answer();
  };
  const image = await store.openFile(file, { resolve });
  const into = new Uint8Array(base.guest.length);
  await image.read(0, into);
  expect(firstDifference(into, overlaid(own))).toBe(-1);
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatchObject({ kind: 'backing', name: 'base.img', writable: false, parent: undefined, depth: 1 });
  expect(image.info.chain).toHaveLength(2);
  await image.close();
});

test('what the resolver returned is not detached', async () => {
  const bytes = await bytesOf(base.file);
  const image = await store.openFile(overlayImage('b', base.guest.length).file, { resolve: async () => bytes });
  await image.close();
  expect(bytes.length).toBe(base.file.size);
});

test('a chain of three calls resolve with the parent', async () => {
  const middle = overlayImage('bottom', base.guest.length);
  const top = overlayImage('middle', base.guest.length);
  const asked: string[] = [];
  const image = await store.openFile(top.file, {
    resolve: async (reference) => {
      asked.push(`${reference.depth} ${reference.name} of ${reference.parent?.name ?? 'the image'}`);
      return reference.name === 'middle' ? middle.file : base.file;
    },
  });
  expect(asked).toEqual(['1 middle of the image', '2 bottom of middle']);
  const into = new Uint8Array(CLUSTER);
  await image.read(0, into);
  expect(firstDifference(into, base.guest.subarray(0, CLUSTER))).toBe(-1);
  await image.close();
});

test('without the file the image opens, and the first read that needs it rejects', async () => {
  for (const options of [{}, { resolve: async () => undefined }]) {
    const { file, own } = overlayImage('base.img', base.guest.length);
    const image = await store.openFile(file, options);
    const into = new Uint8Array(CLUSTER);
    await image.read(CLUSTER, into);
    expect(firstDifference(into, own)).toBe(-1);
    expect(isQcow2Error(await errorOf(image.read(0, into)), 'reference-refused')).toBe(true);
    await image.close();
  }
});

test('an object that cannot be cloned is a TypeError, which lists what to return instead', async () => {
  const source = { size: 512, read: (): void => {} };
  for (const answer of [source, { source, format: 'raw' as const }]) {
    const error = await errorOf(store.openFile(overlayImage('b', CLUSTER).file, { resolve: async () => answer }));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain('Blob');
  }
});

test('openFile rejects with the same error object that the resolver throws', async () => {
  const mine = { not: 'even an error' };
  const error = await errorOf(
    store.openFile(overlayImage('b', CLUSTER).file, {
      resolve: () => Promise.reject(mine),
    }),
  );
  expect(error).toBe(mine);
});

test('opening can be aborted while the resolver waits for the user', async () => {
  const controller = new AbortController();
  const opening = errorOf(
    store.openFile(overlayImage('b', CLUSTER).file, {
      signal: controller.signal,
      resolve: () => {
        setTimeout(() => controller.abort('given up'));
        return new Promise(() => {});
      },
    }),
  );
  expect(await opening).toBe('given up');
});
