/**
 * Writing stored images from the page: what arrives, in which order, what crosses how, and who has to wait for whom.
 */
import { Qcow2Error } from 'qcow2';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { host } from '../../core/test/support/http/hosted.js';
import { openStore, type Store, type WorkerImage } from '../src/index.js';
import { CLUSTER, mixedImage, noise } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, packageFiles, targetFile } from './support/opfs.js';
import { chunked, codeOf, drain, errorOf } from './support/outcomes.js';

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
});
afterEach(() => store.close());
afterAll(clearStorage);

async function contents(image: WorkerImage): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(image.size);
  await image.read(0, bytes);
  return bytes;
}

/** Counts every reference of an image: nothing is wrong with it. */
async function expectClean(image: WorkerImage): Promise<void> {
  expect(await image.check()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0, extra: 0 });
}

describe('written data', () => {
  test('is read back immediately, and after the image was opened again', async () => {
    const expected = new Uint8Array(16 * CLUSTER);
    const image = await store.create('disk', { size: expected.length });
    const before = image.info.fileSize;
    const bytes = noise(3 * CLUSTER + 1000, 1);
    await image.write(CLUSTER - 300, bytes);
    expected.set(bytes, CLUSTER - 300);
    expect(firstDifference(await contents(image), expected)).toBe(-1);
    expect(image.info.fileSize).toBeGreaterThanOrEqual(before + 5 * CLUSTER);
    await image.writeZeroes(2 * CLUSTER, 5000);
    expected.fill(0, 2 * CLUSTER, 2 * CLUSTER + 5000);
    await image.discard(3 * CLUSTER, CLUSTER);
    expected.fill(0, 3 * CLUSTER, 4 * CLUSTER);
    await image.flush();
    await expectClean(image);
    await image.close();

    const again = await store.open('disk');
    expect(again.info.fileSize).toBe((await store.list())[0]?.fileSize);
    expect(firstDifference(await contents(again), expected)).toBe(-1);
    await expectClean(again);
  });

  test('is stored after close without a flush, also with lazy refcounts', async () => {
    await (await store.create('lazy', { size: 2 ** 20, lazyRefcounts: true })).close();
    const image = await store.open('lazy', { mode: 'readwrite' });
    expect(image.info.dirty).toBe(false);
    await image.write(7, new Uint8Array([1, 2, 3]));
    expect(image.info.dirty).toBe(true);
    await image.close();
    const again = await store.open('lazy');
    expect(again.info.dirty).toBe(false);
    expect([...(await contents(again)).subarray(6, 11)]).toEqual([0, 1, 2, 3, 0]);
  });

  test('is ordered with reads, in the order of the calls', async () => {
    const image = await store.create('disk', { size: 2 ** 20 });
    const into = Array.from({ length: 50 }, () => new Uint8Array(1));
    const calls: Promise<void>[] = [];
    const bytes = new Uint8Array(1);
    for (const [index, target] of into.entries()) {
      bytes[0] = index + 1;
      // The buffer is the caller's again when the call returns.
      calls.push(image.write(500, bytes), image.read(500, target));
      if (index % 10 === 9) calls.push(image.flush(), image.discard(0, CLUSTER));
    }
    await Promise.all(calls);
    expect(into.map(([byte]) => byte)).toEqual(into.map((_, index) => index + 1));
  });

  test('of many transfers is sent in one message, the later over the earlier', async () => {
    const image = await store.create('disk', { size: 2 ** 22 });
    const { deviceWrites } = await image.stats();
    await image.writeBatch([
      { at: 0, bytes: noise(4096, 1) },
      { at: 2048, bytes: noise(4096, 2) },
      { at: 2 ** 21, bytes: noise(100, 3) },
      { at: 0, bytes: new Uint8Array(0) },
    ]);
    const expected = new Uint8Array(2 ** 22);
    expected.set(noise(4096, 1));
    expected.set(noise(4096, 2), 2048);
    expected.set(noise(100, 3), 2 ** 21);
    expect(firstDifference(await contents(image), expected)).toBe(-1);
    expect((await image.stats()).deviceWrites - deviceWrites).toBeLessThanOrEqual(4);
  });
});

describe('the bytes', () => {
  test('are not detached unless they are transferred', async () => {
    const image = await store.create('disk', { size: 2 ** 20 });
    const kept = noise(CLUSTER, 1);
    await image.write(0, kept);
    expect(kept.length).toBe(CLUSTER);
    const given = noise(2 * CLUSTER, 2);
    await image.writeBatch(
      [
        { at: CLUSTER, bytes: given.subarray(0, CLUSTER) },
        { at: 3 * CLUSTER, bytes: given.subarray(CLUSTER) },
      ],
      { transfer: true },
    );
    expect(given.buffer.byteLength).toBe(0);
    const read = await contents(image);
    expect(firstDifference(read.subarray(0, CLUSTER), kept)).toBe(-1);
    expect(firstDifference(read.subarray(CLUSTER, 2 * CLUSTER), noise(2 * CLUSTER, 2).subarray(0, CLUSTER))).toBe(-1);
    expect(firstDifference(read.subarray(3 * CLUSTER, 4 * CLUSTER), noise(2 * CLUSTER, 2).subarray(CLUSTER))).toBe(-1);
  });

  test.each([true, false])('may be in shared memory (transfer: %s)', async (transfer) => {
    const image = await store.create('disk', { size: 2 ** 20 });
    const shared = new Uint8Array(new SharedArrayBuffer(CLUSTER + 10), 10);
    shared.set(noise(CLUSTER, 4));
    await image.write(100, shared, { transfer });
    expect(shared.length).toBe(CLUSTER);
    const into = new Uint8Array(new SharedArrayBuffer(CLUSTER));
    await image.read(100, into);
    expect(firstDifference(into, noise(CLUSTER, 4))).toBe(-1);
  });

  test('may be in resizable memory', async () => {
    const image = await store.create('disk', { size: 2 ** 20 });
    // The library of types is older than the second argument.
    const size = [512, { maxByteLength: 1024 }];
    const buffers: ArrayBufferLike[] = [ArrayBuffer, SharedArrayBuffer].map((Memory) =>
      Reflect.construct(Memory, size),
    );
    for (const [index, buffer] of buffers.entries()) {
      const bytes = new Uint8Array(buffer);
      bytes.set(noise(512, index));
      await image.write(index * 1000, bytes, { transfer: true });
      bytes.fill(0);
      await image.read(index * 1000, bytes);
      expect(firstDifference(bytes, noise(512, index))).toBe(-1);
    }
  });
});

describe('the stream', () => {
  test('accepts chunks of any size, and flushes when it is closed', async () => {
    const image = await store.create('disk', { size: 2 ** 24 });
    const bytes = noise(5 * 2 ** 20 + 123, 9);
    await chunked(bytes, 300_001).stream.pipeTo(image.writable({ start: 70_000 }));
    const { deviceFlushes } = await image.stats();
    expect(deviceFlushes).toBeGreaterThan(0);
    const read = new Uint8Array(bytes.length);
    await image.read(70_000, read);
    expect(firstDifference(read, bytes)).toBe(-1);
    // Two at the head and two at the tail are not whole.
    await image.close();
    await expectClean(await store.open('disk'));
  });

  test('applies backpressure beyond the gathered and pending bytes', async () => {
    const image = await store.create('disk', { size: 2 ** 27 });
    const mega = noise(2 ** 20, 1);
    const writer = image.writable().getWriter();
    let settled = 0;
    const writes = Array.from({ length: 64 }, () => writer.write(mega).then(() => settled++));
    expect(writer.desiredSize).toBeLessThan(0);
    await writes[0];
    expect(settled).toBeLessThan(8);
    await Promise.all(writes);
    await writer.close();
  });

  test('errors as writing does, and refuses invalid chunks immediately', async () => {
    const image = await store.create('disk', { size: 2 ** 20 });
    expect(() => image.writable({ start: -1 })).toThrow(RangeError);
    expect(() => image.writable({ start: 2 ** 20 + 1 })).toThrow(Qcow2Error);
    const past = chunked(noise(2 ** 21, 1), 100_000).stream.pipeTo(image.writable());
    expect(await codeOf(past)).toBe('out-of-range');
    const writer = image.writable().getWriter();
    expect(await errorOf(writer.write('text' as unknown as Uint8Array))).toBeInstanceOf(TypeError);
    await image.close();
    const reading = (await store.open('disk')).writable().getWriter();
    reading.closed.catch(() => {});
    await reading.write(noise(10, 1));
    expect(await codeOf(reading.close())).toBe('read-only');
  });
});

test('errors have their class, and leave the image unchanged', async () => {
  const image = await store.create('disk', { size: 2 ** 20 });
  expect(await errorOf(image.write(-1, new Uint8Array(1)))).toBeInstanceOf(RangeError);
  expect(await errorOf(image.write(0, 'text' as unknown as Uint8Array))).toBeInstanceOf(TypeError);
  const past = await errorOf(image.write(2 ** 20 - 1, new Uint8Array(2)));
  expect(past).toBeInstanceOf(Qcow2Error);
  expect(past).toMatchObject({ code: 'out-of-range', details: { at: 2 ** 20 - 1, length: 2, size: 2 ** 20 } });
  expect(await errorOf(store.openFile(new Blob(), { mode: 'readwrite' }))).toBeInstanceOf(TypeError);
  await image.write(0, new Uint8Array([1]));
  await image.close();
  expect(await codeOf(image.write(0, new Uint8Array(1)))).toBe('closed');
  const reader = await store.open('disk');
  const changes = [
    reader.write(0, new Uint8Array(1)),
    reader.writeZeroes(0, 1),
    reader.discard(0, 1),
    reader.writeZeroes(0, 1, { unmap: true }),
  ];
  expect(await Promise.all(changes.map(codeOf))).toEqual(changes.map(() => 'read-only'));
  await reader.flush();
});

describe('an image that is open for writing', () => {
  test('is locked for writing and reading in every other tab', async () => {
    await (await store.create('disk', { size: 2 ** 20 })).close();
    const image = await store.open('disk', { mode: 'readwrite' });
    await image.write(0, noise(1000, 1));
    const other = await openStore();
    const to = await targetFile();
    const refused = await Promise.all(
      [
        other.open('disk', { mode: 'readwrite' }),
        store.open('disk', { mode: 'readwrite' }),
        other.open('disk'),
        store.open('disk'),
        store.export('disk', { format: 'qcow2', to }),
        store.export('disk', { format: 'raw' }),
        store.temporaryExport('disk', { format: 'qcow2' }),
        other.remove('disk'),
        store.rename('disk', 'other'),
      ].map(codeOf),
    );
    expect(refused).toEqual(refused.map(() => 'locked'));
    expect((await other.list()).map(({ info, error }) => [info, error?.code])).toEqual([[undefined, 'locked']]);
    // Its own handle sees what it wrote.
    await image.export({ format: 'raw', to });
    expect(firstDifference((await bytesOf(await to.getFile())).subarray(0, 1000), noise(1000, 1))).toBe(-1);
    const waiting = other.open('disk');
    await image.close();
    const reader = await waiting;
    expect(firstDifference((await contents(reader)).subarray(0, 1000), noise(1000, 1))).toBe(-1);
    expect(await codeOf(store.open('disk', { mode: 'readwrite' }))).toBe('locked');
    await other.close();
    await (await store.open('disk', { mode: 'readwrite' })).close();
  });

  test('locks its bases for writing, but not for reading', async () => {
    const { file, guest } = await mixedImage();
    await store.import('base', file);
    const shape = { size: guest.length, backingFile: 'base', backingFormat: 'qcow2' };
    const one = await store.create('one', shape);
    const two = await store.create('two', shape);
    expect(await codeOf(store.open('base', { mode: 'readwrite' }))).toBe('locked');
    await (await store.open('base')).close();
    await Promise.all([one.write(100, noise(70_000, 1)), two.write(5 * CLUSTER, noise(10, 2))]);
    const expected = guest.slice();
    expected.set(noise(70_000, 1), 100);
    expect(firstDifference(await contents(one), expected)).toBe(-1);
    await Promise.all([one.close(), two.close()]);
    expect(firstDifference(await contents(await store.open('base')), guest)).toBe(-1);
  });

  test('is released with its store, and written data is stored', async () => {
    const image = await store.create('disk', { size: 2 ** 20 });
    await image.write(0, noise(1000, 1));
    await store.close();
    store = await openStore();
    const again = await store.open('disk', { mode: 'readwrite' });
    expect(firstDifference((await contents(again)).subarray(0, 1000), noise(1000, 1))).toBe(-1);
    await expectClean(again);
  });

  test('that cannot be opened is released', async () => {
    const { file } = await mixedImage();
    const bytes = await bytesOf(file);
    // The corrupt bit.
    bytes[79] = 2;
    await store.import('marked', new Blob([bytes]));
    expect(await codeOf(store.open('marked', { mode: 'readwrite' }))).toBe('needs-repair');
    const stopped = new AbortController();
    stopped.abort('stop');
    expect(await errorOf(store.open('marked', { mode: 'readwrite', signal: stopped.signal }))).toBe('stop');
    await store.remove('marked');
    expect(await packageFiles()).toEqual([]);
  });
});

describe('an overlay over a remote or dropped file', () => {
  test('is created over a dropped file, which is resolved once', async () => {
    const { file, guest } = await mixedImage();
    const asked: string[] = [];
    const resolve = async ({ name }: { name: string }): Promise<File> => {
      asked.push(name);
      return file;
    };
    const shape = { size: guest.length, backingFile: 'mixed.qcow2', backingFormat: 'qcow2' };
    const image = await store.create('overlay', { ...shape, resolve });
    expect(asked).toEqual(['mixed.qcow2']);
    const expected = guest.slice();
    expect(firstDifference(await contents(image), expected)).toBe(-1);
    // Within a compressed cluster, over the edge of one with data, and where the base has nothing.
    for (const [at, seed] of [
      [6 * CLUSTER + 700, 11],
      [2 * CLUSTER - 100, 12],
      [12 * CLUSTER, 13],
    ] as const) {
      await image.write(at, noise(5000, seed));
      expected.set(noise(5000, seed), at);
    }
    await image.discard(9 * CLUSTER, CLUSTER);
    expected.fill(0, 9 * CLUSTER, 10 * CLUSTER);
    await image.close();
    const again = await store.open('overlay', { mode: 'readwrite', resolve });
    expect(firstDifference(await contents(again), expected)).toBe(-1);
    await expectClean(again);
    expect(again.info.fileSize).toBeLessThan(12 * CLUSTER);
  });

  test('is created over an image on a web server', async () => {
    const { file, guest } = await mixedImage();
    const hosted = await host(await bytesOf(file));
    const resolve = async (): Promise<{ url: string }> => ({ url: hosted.url });
    const shape = { size: guest.length, backingFile: hosted.url, backingFormat: 'qcow2' };
    const image = await store.create('overlay', { ...shape, resolve });
    await image.write(CLUSTER + 5, noise(100, 1));
    await image.close();
    const expected = guest.slice();
    expected.set(noise(100, 1), CLUSTER + 5);
    const again = await store.open('overlay', { mode: 'readwrite', resolve });
    expect(firstDifference(await contents(again), expected)).toBe(-1);
    expect(firstDifference(await drain(again.readable()), expected)).toBe(-1);
  });

  test('is not left behind when its base is not available', async () => {
    const shape = { size: 2 ** 20, backingFile: 'elsewhere', backingFormat: 'qcow2' };
    const reason = new Error('the person said no');
    const refusing = store.create('overlay', { ...shape, resolve: () => Promise.reject(reason) });
    expect(await errorOf(refusing)).toBe(reason);
    expect(await packageFiles()).toEqual([]);
    await (await store.create('overlay', shape)).close();
  });
});
