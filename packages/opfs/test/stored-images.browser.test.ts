/** Images that a store keeps, through the real worker and the real OPFS: created, listed, opened, renamed, removed. */
import { Qcow2Error } from 'qcow2';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { holdLock } from '../src/protocol/web-lock.js';
import { CLUSTER, mixedImage, noise, overlayImage } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, leaveFile, packageFiles } from './support/opfs.js';
import { codeOf, drain, errorOf } from './support/outcomes.js';

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
});
afterEach(() => store.close());
afterAll(clearStorage);

describe('create', () => {
  test('creates an image with the given options, which the next store has, too', async () => {
    const made = await store.create('disk', { size: 10 * 2 ** 30, clusterSize: 2 ** 17, extendedL2: true });
    expect(made.size).toBe(10 * 2 ** 30);
    expect(await made.seekData(0)).toBeUndefined();
    await store.close();

    store = await openStore();
    const [listed, ...others] = await store.list();
    expect(others).toEqual([]);
    expect(listed).toMatchObject({
      name: 'disk',
      error: undefined,
      overlays: [],
      info: { virtualSize: 10 * 2 ** 30, clusterSize: 2 ** 17, extendedL2: true, version: 3 },
    });
    expect(listed?.fileSize).toBe(listed?.info?.fileSize);
    expect(Math.abs(Date.now() - (listed?.lastModified ?? 0))).toBeLessThan(60_000);
    const into = noise(5000, 1);
    await (await store.open('disk')).read(2 ** 30, into);
    expect(firstDifference(into, new Uint8Array(5000))).toBe(-1);
  });

  test('refuses an existing name, and changes nothing', async () => {
    await (await store.create('disk', { size: 2 ** 20 })).close();
    const error = await errorOf(store.create('disk', { size: 2 ** 21 }));
    expect(error).toBeInstanceOf(Qcow2Error);
    expect(error).toMatchObject({ code: 'exists', details: { name: 'disk' } });
    expect((await store.list())[0]?.info?.virtualSize).toBe(2 ** 20);
  });

  test('refuses invalid options and data files, and leaves no file', async () => {
    expect(await errorOf(store.create('a', { size: -1 }))).toBeInstanceOf(RangeError);
    expect(await errorOf(store.create('a', { size: 512, version: 2, extendedL2: true }))).toBeInstanceOf(TypeError);
    expect(await errorOf(store.create('a', { size: 512, dataFile: 'raw' }))).toBeInstanceOf(TypeError);
    expect(await packageFiles()).toEqual([]);
  });

  test('aborted leaves no file', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = (): void => controller.abort(reason);
    // Tables of 40 MiB.
    const shape = { size: 2 ** 31, clusterSize: 512, preallocation: 'metadata' } as const;
    const options = { ...shape, signal: controller.signal, onProgress };
    expect(await errorOf(store.create('large', options))).toBe(reason);
    expect(await errorOf(store.create('large', { size: 512, signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(await packageFiles()).toEqual([]);
  });
});

test('create of more than the quota is no-space, and keeps the stored images', async () => {
  await (await store.create('disk', { size: 2 ** 20 })).close();
  // With every cluster in its place the file is as long as the disk.
  const error = await errorOf(store.create('large', { size: 2 ** 44, preallocation: 'metadata' }));
  expect(error).toMatchObject({ code: 'no-space', details: { needed: expect.any(Number) } });
  expect(await packageFiles()).toEqual(['disk']);
  await (await store.open('disk')).close();
});

describe('names', () => {
  test.each(['', '.hidden', 'a/b', '/', 'a\u0000b', 'line\nbreak', '\ud800', 'é'.repeat(101)])(
    '%j is invalid',
    async (name) => {
      const uses = [
        store.create(name, { size: 512 }),
        store.import(name, new Blob()),
        store.open(name),
        store.export(name, { format: 'raw' }),
        store.rename(name, 'b'),
        store.rename('b', name),
        store.remove(name),
        store.has(name),
        store.stat(name),
      ].map(errorOf);
      for (const error of await Promise.all(uses)) expect(error).toBeInstanceOf(RangeError);
      expect(await packageFiles()).toEqual([]);
    },
  );

  test('are strings', async () => {
    expect(await errorOf(store.open(7 as unknown as string))).toBeInstanceOf(TypeError);
    expect(await errorOf(openStore({ directory: 'a/b' }))).toBeInstanceOf(RangeError);
  });

  test('are normalised, and may have every other character', async () => {
    const longest = 'é'.repeat(100);
    for (const name of [longest, 'a b (1).qcow2', '磁盘', 'a.b.', '"quoted"']) {
      await (await store.create(name, { size: 512 })).close();
      await (await store.open(name.normalize('NFD'))).close();
      expect(await codeOf(store.create(name.normalize('NFD'), { size: 512 }))).toBe('exists');
    }
    expect((await store.list()).map(({ name }) => name)).toContain(longest);
  });
});

describe('has and stat', () => {
  test('return the same as the list, also for an image that is being changed or damaged', async () => {
    await (await store.create('base', { size: 2 ** 20 })).close();
    const overlay = await store.create('overlay', { size: 2 ** 20, backingFile: 'base', backingFormat: 'qcow2' });
    await leaveFile('broken', 'this is no image');
    const listed = await store.list();
    expect(await Promise.all(listed.map(({ name }) => store.stat(name)))).toEqual(listed);
    expect(await Promise.all(listed.map(({ name }) => store.has(name)))).toEqual([true, true, true]);
    expect(await store.stat('base')).toMatchObject({ overlays: ['overlay'], info: { virtualSize: 2 ** 20 } });
    expect(await store.stat('overlay')).toMatchObject({ overlays: [], error: { code: 'locked' } });
    await overlay.close();
    expect(await store.stat('overlay')).toMatchObject({ info: { backingFile: 'base', backingFormat: 'qcow2' } });
  });

  test('are false and not-found for an image that does not exist', async () => {
    expect(await store.has('nothing')).toBe(false);
    expect(await errorOf(store.stat('nothing'))).toMatchObject({ code: 'not-found', details: { name: 'nothing' } });
    await leaveFile('.tmp-notes', 'no image by its name');
    expect(await errorOf(store.has('.tmp-notes'))).toBeInstanceOf(RangeError);
  });
});

describe('list', () => {
  test('includes locked and damaged images with their error, and omits files that are not images', async () => {
    await (await store.create('changing', { size: 2 ** 20 })).close();
    await leaveFile('broken', 'this is no image');
    await leaveFile('.tmp-notes', 'somebody else wrote this');
    const corrupt = await bytesOf((await mixedImage()).file);
    // The L1 table's offset, which must be a multiple of the cluster size.
    new DataView(corrupt.buffer).setBigUint64(40, 1n);
    await leaveFile('corrupt', corrupt.buffer);
    const lock = 'qcow2-opfs folder qcow2/changing';
    const release = await holdLock(lock);
    const listed = await store.list();
    release();
    await navigator.locks.request(lock, () => {}); // it is released asynchronously
    expect(listed.map(({ name, info, error }) => [name, info, error?.code])).toEqual([
      ['broken', undefined, 'not-qcow2'],
      ['changing', undefined, 'locked'],
      ['corrupt', undefined, 'corrupt'],
    ]);
    expect(listed[0]?.fileSize).toBe('this is no image'.length);
    expect(listed[0]?.error?.message).toContain('text file');
    expect((await store.list())[1]?.info?.virtualSize).toBe(2 ** 20);
  });

  test('of another directory has its own images', async () => {
    await (await store.create('here', { size: 512 })).close();
    const other = await openStore({ directory: 'elsewhere' });
    await (await other.create('there', { size: 512 })).close();
    expect((await other.list()).map(({ name }) => name)).toEqual(['there']);
    expect((await store.list()).map(({ name }) => name)).toEqual(['here']);
    await other.close();
  });
});

describe('open', () => {
  test('reads every byte, also through bases in the store', async () => {
    const { file, guest } = await mixedImage();
    await store.import('base.qcow2', file);
    const overlay = overlayImage('../images/base.qcow2', guest.length);
    await store.import('overlay', overlay.file);
    const image = await store.open('overlay');
    expect(image.info.chain.map(({ missing }) => missing)).toEqual([false, false]);
    const into = new Uint8Array(guest.length);
    await image.read(0, into);
    const expected = guest.slice();
    expected.set(overlay.own, CLUSTER);
    expect(firstDifference(into, expected)).toBe(-1);
  });

  test('calls the resolver only for files that are not in the store', async () => {
    const { file, guest } = await mixedImage();
    await store.import('top', overlayImage('middle', guest.length).file);
    await store.import('middle', overlayImage('outside.img', guest.length).file);
    const asked: string[] = [];
    const resolve = async ({ name }: { name: string }): Promise<File> => {
      asked.push(name);
      return file;
    };
    const image = await store.open('top', { resolve });
    expect(asked).toEqual(['outside.img']);
    const into = new Uint8Array(CLUSTER);
    await image.read(9 * CLUSTER, into);
    expect(firstDifference(into, guest.subarray(9 * CLUSTER, 10 * CLUSTER))).toBe(-1);
    expect(await codeOf((await store.open('top')).read(0, into))).toBe('reference-refused');
  });

  test('of an image that does not exist', async () => {
    expect(await codeOf(store.open('nothing'))).toBe('not-found');
    expect(await codeOf(store.remove('nothing'))).toBe('not-found');
    expect(await codeOf(store.rename('nothing', 'something'))).toBe('not-found');
    expect(await codeOf(store.export('nothing', { format: 'qcow2' }))).toBe('not-found');
  });

  test('refuses a circular chain', async () => {
    await store.import('a', overlayImage('b', 2 ** 20).file);
    expect(await codeOf(store.create('b', { size: 2 ** 20, backingFile: 'a', backingFormat: 'qcow2' }))).toBe(
      'corrupt',
    );
    // No verb of the store makes one.
    await leaveFile('b', await overlayImage('a', 2 ** 20).file.arrayBuffer());
    expect(await codeOf(store.open('a'))).toBe('corrupt');
    // Nobody can read them, so they protect nobody.
    await store.remove('a');
    await store.remove('b');
    expect(await packageFiles()).toEqual([]);
  });
});

describe('export', () => {
  test('that is aborted at any time releases the image', async () => {
    await store.import('disk', (await mixedImage()).file);
    for (let round = 0; round < 40; round++) {
      const abort = new AbortController();
      setTimeout(() => abort.abort('enough'), (round * 0.3) % 6);
      const format = round % 2 === 0 ? 'raw' : 'qcow2';
      const reading = store.export('disk', { format, signal: abort.signal }).then(drain);
      await reading.catch(() => {});
    }
    await (await store.open('disk', { mode: 'readwrite' })).close();
  });

  test('refuses to write over an image of the store, the exported one or another', async () => {
    const { file, guest } = await mixedImage();
    await store.import('one', file);
    await (await store.create('two', { size: 2 ** 20 })).close();
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('qcow2');
    const image = await store.openFile(file);
    for (const name of ['one', 'two']) {
      const to = await folder.getFileHandle(name);
      expect(await errorOf(store.export('one', { format: 'raw', to }))).toBeInstanceOf(TypeError);
      expect(await errorOf(store.export('one', { format: 'qcow2', to }))).toBeInstanceOf(TypeError);
      expect(await errorOf(image.export({ format: 'raw', to }))).toBeInstanceOf(TypeError);
    }
    const into = new Uint8Array(guest.length);
    await (await store.open('one')).read(0, into);
    expect(firstDifference(into, guest)).toBe(-1);
    expect((await store.list()).map(({ error }) => error)).toEqual([undefined, undefined]);
  });
});

describe('rename and remove', () => {
  test('rename and remove an image', async () => {
    const { file } = await mixedImage();
    await store.import('one', file);
    await store.rename('one', 'two');
    await store.rename('two', 'two');
    expect(await packageFiles()).toEqual(['two']);
    expect(await codeOf(store.open('one'))).toBe('not-found');
    await store.import('three', file);
    expect(await codeOf(store.rename('two', 'three'))).toBe('exists');
    await store.remove('three');
    expect(await packageFiles()).toEqual(['two']);
    await (await store.open('two')).close();
  });

  test('recognise a base also while its overlay is written', async () => {
    await (await store.create('base', { size: 2 ** 20 })).close();
    const overlay = await store.create('overlay', { size: 2 ** 20, backingFile: 'base', backingFormat: 'qcow2' });
    const listed = await store.list();
    expect(listed.map(({ overlays, error }) => [overlays, error?.code])).toEqual([
      [['overlay'], undefined],
      [[], 'locked'],
    ]);
    await overlay.close();
  });

  test('refuse a name that would make the chain circular, at any depth', async () => {
    const overlay = (name: string) => overlayImage(`/images/${name}`, 2 ** 20).file;
    expect(await errorOf(store.import('base', overlay('base')))).toBeInstanceOf(RangeError);
    expect(await packageFiles()).toEqual([]);
    await store.import('middle', overlay('base'));
    await store.import('top', overlay('middle'));
    expect(await errorOf(store.rename('top', 'base'))).toBeInstanceOf(RangeError);
    expect(await errorOf(store.import('base', overlay('top')))).toBeInstanceOf(RangeError);
    expect(await packageFiles()).toEqual(['middle', 'top']);
    await store.rename('top', 'other');
    await (await store.create('base', { size: 2 ** 20 })).close();
    await (await store.open('other')).close();
  });

  test('are refused for a base, with the names of its overlays', async () => {
    await (await store.create('base', { size: 2 ** 20 })).close();
    for (const name of ['second', 'first']) {
      await (await store.create(name, { size: 2 ** 20, backingFile: 'base', backingFormat: 'qcow2' })).close();
    }
    const refused = { code: 'locked', details: { name: 'base', overlays: ['first', 'second'] } };
    expect(await errorOf(store.remove('base'))).toMatchObject(refused);
    expect(await errorOf(store.rename('base', 'other'))).toMatchObject(refused);
    expect((await store.list()).map(({ name, overlays }) => [name, overlays])).toEqual([
      ['base', ['first', 'second']],
      ['first', []],
      ['second', []],
    ]);
    await store.remove('first');
    await store.rename('second', 'moved');
    await store.remove('moved');
    await store.remove('base');
    expect(await packageFiles()).toEqual([]);
  });

  test('wait until the image is closed, with a timeout of two seconds', async () => {
    const { file } = await mixedImage();
    await store.import('disk', file);
    const other = await openStore();
    const image = await other.open('disk');
    const begun = performance.now();
    const refused = await Promise.all([codeOf(store.remove('disk')), codeOf(store.rename('disk', 'other'))]);
    expect(refused).toEqual(['locked', 'locked']);
    expect(performance.now() - begun).toBeGreaterThan(1500);
    const removing = store.remove('disk');
    await image.close();
    await removing;
    expect(await packageFiles()).toEqual([]);
    await other.close();
  });

  test('stop waiting for a signal, as opening does', async () => {
    await (await store.create('disk', { size: 2 ** 20 })).close();
    const release = await holdLock('qcow2-opfs folder qcow2/disk');
    const controller = new AbortController();
    const opening = errorOf(store.open('disk', { signal: controller.signal }));
    const begun = performance.now();
    controller.abort('stop');
    expect(await opening).toBe('stop');
    expect(performance.now() - begun).toBeLessThan(1500);
    expect(await codeOf(store.open('disk'))).toBe('locked');
    release();
    await (await store.open('disk')).close();
  });

  test('a missing base can be created while its overlay is open', async () => {
    const image = await store.create('overlay', { size: 2 ** 20, backingFile: 'base', backingFormat: 'qcow2' });
    await (await store.create('base', { size: 2 ** 20 })).close();
    expect(await codeOf(image.read(0, new Uint8Array(512)))).toBe('reference-refused');
    await image.close();
    await (await store.open('overlay')).read(0, new Uint8Array(512));
  });

  test('are refused for the bases of an open image', async () => {
    const { file, guest } = await mixedImage();
    await store.import('base', file);
    await store.import('overlay', overlayImage('base', guest.length).file);
    const image = await store.open('overlay');
    expect(await codeOf(store.remove('overlay'))).toBe('locked');
    const into = new Uint8Array(CLUSTER);
    await image.read(0, into);
    expect(firstDifference(into, guest.subarray(0, CLUSTER))).toBe(-1);
  });
});

describe('two stores', () => {
  test('read one image at the same time', async () => {
    const { file, guest } = await mixedImage();
    await store.import('disk', file);
    const other = await openStore();
    const images = await Promise.all([store.open('disk'), other.open('disk')]);
    for (const image of images) {
      const into = new Uint8Array(guest.length);
      await image.read(0, into);
      expect(firstDifference(into, guest)).toBe(-1);
    }
    await other.close();
  });

  test('do not create one image twice', async () => {
    const other = await openStore();
    const { file } = await mixedImage();
    const codes = await Promise.all([codeOf(store.import('disk', file)), codeOf(other.import('disk', file))]);
    expect(codes.sort()).toEqual(['exists', 'fulfilled']);
    expect(await packageFiles()).toEqual(['disk']);
    await other.close();
  });
});

test('estimate and persist are refused by a store that is closed', async () => {
  await store.close();
  expect(await codeOf(store.estimate())).toBe('closed');
  expect(await codeOf(store.persist())).toBe('closed');
});

test('estimate and persistence return what the browser returns', async () => {
  expect(store.persistence).toBe((await navigator.storage.persisted()) ? 'persistent' : 'best-effort');
  const { usage, quota } = await store.estimate();
  expect(quota).toBeGreaterThan(0);
  expect(usage).toBeGreaterThanOrEqual(0);
  const bytes = await bytesOf((await mixedImage()).file);
  await store.import('disk', new Blob([bytes]));
  expect((await store.estimate()).usage).toBeGreaterThan(usage);
});
