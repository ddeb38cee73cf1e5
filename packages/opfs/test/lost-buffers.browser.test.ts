/**
 * Buffers whose memory is taken away while a request is with the worker, and buffers and promises of an iframe's realm.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WAYS_TO_LOSE } from '../../core/test/support/losable-buffers.js';
import { openStore, type Store, type WorkerImage } from '../src/index.js';
import { CLUSTER, mixedImage, noise } from './support/images.js';
import { clearStorage, firstDifference } from './support/opfs.js';

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
});
afterEach(() => store.close());
afterAll(clearStorage);

describe.each(WAYS_TO_LOSE)('%s', (_, make) => {
  test('during a batch: a TypeError that names it, and the others are filled, each with its own bytes', async () => {
    const { file, guest } = await mixedImage();
    const image = await store.openFile(file);
    const losable = make(5000);
    const batch = [
      { at: 10, bytes: new Uint8Array(3000) },
      { at: CLUSTER, bytes: losable.bytes },
      { at: CLUSTER + 7, bytes: new Uint8Array(9000) },
    ];
    const reading = image.readBatch(batch);
    const expecting = expect(reading).rejects.toThrow(/Buffer 1/);
    losable.detach();
    await expecting;
    await expect(reading).rejects.toBeInstanceOf(TypeError);
    for (const { at, bytes } of [batch[0]!, batch[2]!]) {
      expect(firstDifference(bytes, guest.subarray(at, at + bytes.length))).toBe(-1);
    }
  });

  test('before a read or a write: a TypeError, and nothing is done', async () => {
    const image = await store.create('disk', { size: 2 ** 20 });
    const losable = make(5000);
    losable.detach();
    if (losable.bytes.length > 0) return; // A view that follows its buffer is a shorter one.
    for (const transfer of [false, true]) {
      await expect(image.write(0, losable.bytes, { transfer })).rejects.toThrow(TypeError);
      const batch = [
        { at: 0, bytes: new Uint8Array([1]) },
        { at: 9, bytes: losable.bytes },
      ];
      await expect(image.writeBatch(batch, { transfer })).rejects.toThrow(/Buffer 1/);
    }
    await expect(image.read(0, losable.bytes)).rejects.toThrow(TypeError);
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(losable.bytes);
        controller.close();
      },
    });
    await expect(store.import('taken', stream)).rejects.toThrow(TypeError);
    const into = new Uint8Array(1);
    await image.read(0, into);
    expect(into[0]).toBe(0);
  });
});

describe('objects of an iframe', () => {
  let frame: HTMLIFrameElement;
  /** The realm's own classes. */
  let realm: typeof globalThis;
  beforeEach(() => {
    frame = document.createElement('iframe');
    document.body.append(frame);
    realm = frame.contentWindow as unknown as typeof globalThis;
  });
  afterEach(() => frame.remove());

  async function contents(image: WorkerImage): Promise<Uint8Array> {
    const bytes = new realm.Uint8Array(image.size);
    await image.read(0, bytes);
    return bytes;
  }

  test('a File, a URL, buffers and signals are accepted', async () => {
    const { file, guest } = await mixedImage();
    const foreign = new realm.File([file], 'foreign.qcow2');
    expect(foreign).not.toBeInstanceOf(File);
    const image = await store.openFile(foreign);
    expect(firstDifference(await contents(image), guest)).toBe(-1);
    const controller = new realm.AbortController();
    const reading = image.read(0, new realm.Uint8Array(image.size), { signal: controller.signal });
    controller.abort('stop');
    await expect(reading).rejects.toBe('stop');
    await expect(store.openFile({ url: new realm.URL('http://localhost:1/none') })).rejects.toMatchObject({
      code: 'io',
    });
    await image.close();
  });

  test('a Blob and a stream are imported, and bytes are written: copied, transferred and shared', async () => {
    const { file, guest } = await mixedImage();
    await store.import('blob', new realm.Blob([file]));
    const bytes = new realm.Uint8Array(await file.arrayBuffer());
    const stream = new realm.ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes);
        controller.close();
      },
    });
    await store.import('stream', stream);
    for (const name of ['blob', 'stream']) {
      const image = await store.open(name);
      expect(firstDifference(await contents(image), guest)).toBe(-1);
      await image.close();
    }
    const image = await store.create('disk', { size: 2 ** 20 });
    const written = noise(1000, 5);
    const make = (): Uint8Array<ArrayBuffer> => {
      const own = new realm.Uint8Array(1000);
      own.set(written);
      return own;
    };
    await image.write(0, make());
    const moved = make();
    await image.write(1000, moved, { transfer: true });
    expect(moved.buffer.byteLength).toBe(0);
    if (crossOriginIsolated && realm.SharedArrayBuffer) {
      const shared = new realm.Uint8Array(new realm.SharedArrayBuffer(1000));
      shared.set(written);
      await image.write(2000, shared);
    } else await image.write(2000, make());
    const writer = image.writable({ start: 3000 }).getWriter();
    await writer.write(make());
    await writer.close();
    const disk = await contents(image);
    for (const at of [0, 1000, 2000, 3000]) {
      expect(firstDifference(disk.subarray(at, at + 1000), written)).toBe(-1);
    }
  });

  test('a resolver may return its promise, and a file of its realm', async () => {
    const { file, guest } = await mixedImage();
    await store.import('base', file);
    const { overlayImage } = await import('./support/images.js');
    const overlay = overlayImage('base.qcow2', guest.length);
    const image = await store.openFile(overlay.file, {
      resolve: () => realm.Promise.resolve(new realm.File([file], 'base.qcow2')),
    });
    const into = new Uint8Array(CLUSTER);
    await image.read(0, into);
    expect(firstDifference(into, guest.subarray(0, CLUSTER))).toBe(-1);
  });
});
