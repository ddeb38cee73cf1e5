/** Images on a web server, fetched by the worker: named by their address, as image and as backing file. */
import { isQcow2Error } from 'qcow2';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { host } from '../../core/test/support/http/hosted.js';
import type { Fault } from '../../core/test/support/http/plan.js';
import { openStore, type Store, type StoreResolved, type WorkerImage } from '../src/index.js';
import { CLUSTER, mixedImage, overlayImage, type TestImage } from './support/images.js';
import { bytesOf, clearStorage, firstDifference } from './support/opfs.js';

let store: Store;
let base: TestImage;
let bytes: Uint8Array;
beforeAll(async () => {
  store = await openStore();
  base = await mixedImage();
  bytes = await bytesOf(base.file);
});
afterAll(() => store.close());

test('an image is opened by its URL, with the options it needs, and read in ranges', async () => {
  const file = await host(bytes, { etag: '"1"' });
  const image = await store.openFile({ url: file.url, headers: { 'X-Key': 'mine' } });
  expect((await file.seen()).filter(({ method }) => method === 'GET').length).toBeLessThanOrEqual(2);
  const guest = new Uint8Array(base.guest.length);
  await image.read(0, guest);
  expect(firstDifference(guest, base.guest)).toBe(-1);
  const gets = (await file.seen()).filter(({ method }) => method === 'GET');
  expect(gets[0]).toMatchObject({ range: '0-65535', status: 206 });
  expect(gets.every(({ headers, range }) => headers['x-key'] === 'mine' && range !== null)).toBe(true);
  await image.close();
});

test('a URL object is the same as an address with the default options', async () => {
  const file = await host(bytes);
  const image = await store.openFile(new URL(file.url));
  const guest = new Uint8Array(base.guest.length);
  await image.read(0, guest);
  expect(firstDifference(guest, base.guest)).toBe(-1);
  await image.close();
  await expect(store.openFile(new URL('file:///etc/passwd'))).rejects.toBeInstanceOf(TypeError);
});

test.each<[string, (url: string) => StoreResolved]>([
  ['an address', (url) => ({ url })],
  ['a URL', (url) => new URL(url)],
  ['a URL with options', (url) => ({ url: new URL(url), blockSize: 65_536 })],
  ['a URL with the format', (url) => ({ source: new URL(url), format: 'qcow2' })],
  ['an address with the format', (url) => ({ source: { url }, format: 'qcow2' })],
])('a dropped overlay is based on %s', async (_, answer) => {
  const file = await host(bytes);
  const { file: overlay, own } = overlayImage('base.img', base.guest.length);
  const image = await store.openFile(overlay, { resolve: async () => answer(file.url) });
  const guest = new Uint8Array(base.guest.length);
  await image.read(0, guest);
  const expected = base.guest.slice();
  expected.set(own, CLUSTER);
  expect(firstDifference(guest, expected)).toBe(-1);
  expect(image.info.chain).toHaveLength(2);
  await image.close();
});

test('a circular chain on the server is refused', async () => {
  const file = await host(await bytesOf(overlayImage('itself', CLUSTER * 4).file));
  const opening = store.openFile({ url: file.url }, { resolve: async () => ({ url: file.url }) });
  await expect(opening).rejects.toMatchObject({ name: 'Qcow2Error', code: 'corrupt' });
});

test.each<[string, Fault, object]>([
  ['404', { kind: 'status', status: 404 }, { code: 'not-found', details: { status: 404 } }],
  ['no ranges', { kind: 'whole' }, { code: 'unsupported', details: { status: 200 } }],
])('errors of the server have class, code and details: %s', async (_, fault, error) => {
  const file = await host(bytes, { faults: [fault] });
  await expect(store.openFile({ url: file.url })).rejects.toMatchObject({ name: 'Qcow2Error', ...error });
});

test('the replacement of an open image is detected', async () => {
  const file = await host(bytes, { etag: '"1"' });
  const image = await store.openFile({ url: file.url, cacheBytes: 0 });
  await file.plan({ etag: '"2"' });
  const guest = new Uint8Array(base.guest.length);
  await expect(image.read(0, guest)).rejects.toMatchObject({ name: 'Qcow2Error', code: 'changed' });
  await image.close();
});

test('opening and reading are aborted while the server does not respond, with the page’s own reason', async () => {
  const file = await host(bytes, { faults: [{ kind: 'silence' }] });
  const reason = { mine: true };
  const first = new AbortController();
  const opening = store.openFile({ url: file.url }, { signal: first.signal });
  setTimeout(() => first.abort(reason), 100);
  await expect(opening).rejects.toBe(reason);
  await expect.poll(async () => (await file.seen())[0]?.left).toBe(true);

  const image = await store.openFile({ url: file.url });
  await file.plan({ faults: [{ kind: 'silence' }] });
  const second = new AbortController();
  const reading = image.read(0, new Uint8Array(base.guest.length), { signal: second.signal });
  setTimeout(() => second.abort(reason), 100);
  await expect(reading).rejects.toBe(reason);
  await image.close();
});

test('closing the image ends its fetches', async () => {
  const file = await host(bytes);
  const image = await store.openFile({ url: file.url });
  await file.plan({ faults: [{ kind: 'silence' }] });
  const reading = image.read(0, new Uint8Array(base.guest.length)).then(
    () => 'read',
    (error: unknown) => isQcow2Error(error, 'closed'),
  );
  const stuck = async () => (await file.seen()).at(-1);
  await expect.poll(async () => (await stuck())?.status).toBe(0);
  await image.close();
  expect(await reading).toBe(true);
  await expect.poll(async () => (await stuck())?.left).toBe(true);
});

describe('a call that waits for a server without response', () => {
  const silent = { faults: Array.from({ length: 16 }, () => ({ kind: 'silence' as const })) };
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'done',
      ({ code }) => code,
    );

  /** An overlay in the store over a file on a server that falls silent; a read and a write of it wait for it. */
  async function stuckOverlay(own: Store): Promise<{ image: WorkerImage; waiting: Promise<string>[] }> {
    const file = await host(new Uint8Array(2 ** 20).fill(7));
    const options = { size: 2 ** 20, backingFile: 'base.img', backingFormat: 'raw' } as const;
    const remote = { url: file.url, timeout: 60_000, retries: 0, cacheBytes: 0 };
    const image = await own.create('stuck', { ...options, resolve: async () => remote });
    await file.plan(silent);
    const byte = new Uint8Array(1);
    const waiting = [image.read(700_000, byte), image.write(800_000, byte), image.seekData(0)].map(codeOf);
    await expect.poll(async () => (await file.seen()).at(-1)?.status).toBe(0);
    return { image, waiting };
  }

  beforeEach(clearStorage);
  afterAll(clearStorage);

  test('delays the close of its image only briefly', async () => {
    await using own = await openStore();
    const { image, waiting } = await stuckOverlay(own);
    const started = performance.now();
    await image.close();
    expect(performance.now() - started).toBeLessThan(10_000);
    expect((await Promise.all(waiting)).slice(0, 2)).toEqual(['closed', 'closed']);
    // It is free again, and whole.
    const again = await own.open('stuck', { mode: 'readwrite' });
    expect(await again.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    await again.close();
  });

  test('delays the close of its image only briefly, with a large write behind it', async () => {
    await using own = await openStore();
    const file = await host(new Uint8Array(2 ** 20).fill(7));
    const options = { size: 2 ** 28, backingFile: 'base.img', backingFormat: 'raw' } as const;
    const remote = { url: file.url, timeout: 60_000, retries: 0, cacheBytes: 0 };
    const image = await own.create('stuck', { ...options, resolve: async () => remote });
    await file.plan(silent);
    const waiting = [
      image.write(800_000, new Uint8Array(100 * 2 ** 20)),
      image.write(0, new Uint8Array(10)),
      image.read(0, new Uint8Array(10)),
    ].map(codeOf);
    const started = performance.now();
    await image.close();
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(await Promise.all(waiting)).toEqual(['closed', 'closed', 'closed']);
    const again = await own.open('stuck', { mode: 'readwrite' });
    expect(await again.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    await again.close();
  });

  test('delays the close of its store only briefly', async () => {
    const own = await openStore();
    const { waiting } = await stuckOverlay(own);
    const started = performance.now();
    await own.close();
    expect(performance.now() - started).toBeLessThan(10_000);
    expect((await Promise.all(waiting)).slice(0, 2)).toEqual(['closed', 'closed']);
  });
});

test('a relative address is resolved against the page', async () => {
  await expect(store.openFile({ url: 'no/such/image.qcow2', retries: 0 })).rejects.toMatchObject({
    details: { url: new URL('no/such/image.qcow2', document.baseURI).href },
  });
});

test.each<[string, object]>([
  ['a file of this machine', { url: 'file:///disk.qcow2' }],
  ['a blob URL', { url: 'blob:http://localhost/1' }],
  ['an invalid URL', { url: 'http://' }],
  ['a fetch function, which cannot be cloned', { url: 'http://127.0.0.1/', fetch }],
  ['another value', {}],
])('%s is a TypeError', async (_, file) => {
  await expect(store.openFile(file as { url: string })).rejects.toThrow(TypeError);
});
