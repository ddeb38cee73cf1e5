/**
 * One file that would be two files of an image at once, and two writers of one file: both are refused before anything
 * is written.
 */
import { linkSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, test } from 'vitest';
import { fileDevice, fileSource } from '../node/index.js';
import {
  type BlockDevice,
  blobSource,
  bufferDevice,
  type Openable,
  Qcow2Error,
  Qcow2Image,
  type Resolved,
  withCache,
  withCoalescing,
} from '../src/index.js';
import { expectSame } from './support/expect-same.js';
import { buildImage } from './support/image-builder.js';

const SIZE = 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'qcow2-chain-files-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = () => join(folder, `${files++}`);

/** The bytes of an image that names a data file, and, when `backed`, a backing file. */
async function imageBytes(options: { dataFile?: string; backingFile?: string }): Promise<Uint8Array<ArrayBuffer>> {
  const device = bufferDevice();
  const backing = options.backingFile === undefined ? {} : { backingFormat: 'qcow2' };
  const resolve = async ({ kind }: { kind: string }) => (kind === 'data' ? bufferDevice() : undefined);
  await (await Qcow2Image.create(device, { size: SIZE, ...options, ...backing, resolve })).close();
  return device.bytes();
}

function collision(...roles: string[]) {
  return expect.objectContaining({ name: 'Qcow2Error', code: 'corrupt', details: expect.objectContaining({ roles }) });
}

/** Ways to hand one device over again, so that it is another object. */
const decorated: [string, (device: BlockDevice) => Openable][] = [
  ['the same device', (device) => device],
  ['a cache over it', (device) => withCache(keptOpen(device))],
  ['a cache over its joined transfers', (device) => withCache(withCoalescing(keptOpen(device)))],
];

describe('an image that names itself', () => {
  test('as its data file is refused, and is unchanged', async () => {
    const bytes = await imageBytes({ dataFile: 'disk.raw' });
    const device = bufferDevice(bytes);
    const opening = Qcow2Image.open(device, { mode: 'readwrite', resolve: async () => device });
    await expect(opening).rejects.toThrow(collision('image', 'data file'));
    await expect(opening).rejects.toThrow('The data file "disk.raw" and the image are one and the same file.');
    expectSame(device.bytes(), bytes);
    // Nothing holds it: with a data file of its own it is written.
    const data = bufferDevice();
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve: async () => data });
    await image.write(0, new Uint8Array(512).fill(7));
    await image.close();
  });

  test.each(decorated)('as its data file, through %s, is refused for reading too', async (_, again) => {
    const device = bufferDevice(await imageBytes({ dataFile: 'disk.raw' }));
    await expect(Qcow2Image.open(device, { resolve: async () => again(device) })).rejects.toThrow(
      collision('image', 'data file'),
    );
  });

  test.each(decorated)('as its backing file, through %s, is refused', async (_, again) => {
    const device = bufferDevice(await imageBytes({ backingFile: 'base.qcow2' }));
    const opening = Qcow2Image.open(device, { resolve: async () => ({ source: again(device), format: 'qcow2' }) });
    await expect(opening).rejects.toThrow(collision('image', 'backing file'));
  });

  test('in a buffer or a Blob is refused, in whatever form it is provided', async () => {
    const bytes = await imageBytes({ backingFile: 'base.qcow2' });
    const blob = new Blob([bytes]);
    await expect(Qcow2Image.open(blob, { resolve: async () => blobSource(blob) })).rejects.toThrow(
      collision('image', 'backing file'),
    );
    await expect(Qcow2Image.open(bytes, { resolve: async () => bytes })).rejects.toThrow(
      collision('image', 'backing file'),
    );
  });
});

describe('a file with two roles in a chain', () => {
  test('is refused as the data file and the backing file of one image', async () => {
    const extensions = [{ type: 0x44415441, data: new TextEncoder().encode('disk.raw') }];
    const device = bufferDevice(
      buildImage({ size: SIZE, backingName: 'base.raw', extensions, incompatible: 1n << 2n }).bytes,
    );
    const shared = bufferDevice(new Uint8Array(SIZE));
    const resolve = async (): Promise<Resolved> => ({ source: keptOpen(shared), format: 'raw' });
    await expect(Qcow2Image.open(device, { mode: 'readwrite', resolve })).rejects.toThrow(
      collision('data file', 'backing file'),
    );
    expectSame(shared.bytes(), new Uint8Array(SIZE));
  });

  test('is refused as two layers of it', async () => {
    const top = await imageBytes({ backingFile: 'middle.qcow2' });
    const middle = bufferDevice(await imageBytes({ backingFile: 'middle.qcow2' }));
    await expect(
      Qcow2Image.open(top, { resolve: async () => ({ source: withCache(middle), format: 'qcow2' }) }),
    ).rejects.toThrow(collision('backing file', 'backing file'));
  });

  test('is closed if it was opened for the chain, and not if it is the caller’s', async () => {
    const device = bufferDevice(await imageBytes({ backingFile: 'base.qcow2' }));
    let closed = 0;
    const again = {
      size: device.size,
      identity: device,
      read: () => {},
      close: () => {
        closed++;
      },
    };
    await expect(Qcow2Image.open(device, { resolve: async () => again })).rejects.toThrow(
      collision('image', 'backing file'),
    );
    expect(closed).toBe(1);
    expect(device.bytes().length).toBeGreaterThan(0);
  });
});

describe('files of Node’s file system', () => {
  test.each<[string, (path: string) => string]>([
    ['path', (path) => path],
    ['symbolic link', (path) => link(symlinkSync, path)],
    ['hard link', (path) => link(linkSync, path)],
  ])('are the same file by another %s', async (_, other) => {
    const path = newPath();
    const device = fileDevice(path, { create: true });
    await device.write([{ at: 0, bytes: await imageBytes({ dataFile: 'disk.raw' }) }]);
    const before = readFileSync(path);
    const open = (again: (path: string) => Openable) =>
      Qcow2Image.open(device, { mode: 'readwrite', resolve: async () => again(other(path)) });
    await expect(open(fileDevice)).rejects.toThrow(collision('image', 'data file'));
    await expect(open(fileSource)).rejects.toThrow(collision('image', 'data file'));
    expectSame(readFileSync(path), before);
    device.close?.();
  });

  test('are not the same file by equal content', async () => {
    const bytes = await imageBytes({ backingFile: 'base.qcow2' });
    const base = buildImage({ size: SIZE }).bytes;
    for (const path of [newPath(), newPath()]) {
      const device = fileDevice(path, { create: true });
      await device.write([{ at: 0, bytes: base }]);
      device.close?.();
      const image = await Qcow2Image.open(bytes, { resolve: async () => fileSource(path) });
      await image.close();
    }
  });
});

describe('create', () => {
  const options = { size: SIZE, dataFile: 'disk.raw', overwrite: true };

  test('refuses the same device as data file before anything is changed', async () => {
    const before = new Uint8Array(100_000).fill(9);
    const device = bufferDevice(before);
    const creating = Qcow2Image.create(device, { ...options, resolve: async () => device });
    await expect(creating).rejects.toThrow(collision('image', 'data file'));
    expectSame(device.bytes(), before);
  });

  test.each(decorated)('refuses %s as backing file before anything is changed', async (_, again) => {
    const before = buildImage({ size: SIZE }).bytes;
    const device = bufferDevice(before);
    const resolve = async () => again(device);
    const overlay = { size: SIZE, backingFile: 'base', backingFormat: 'qcow2', overwrite: true, resolve };
    await expect(Qcow2Image.create(device, overlay)).rejects.toThrow(collision('image', 'backing file'));
    expectSame(device.bytes(), before);
  });

  test('refuses one file as data file and backing file before anything is changed', async () => {
    const shared = bufferDevice(new Uint8Array(1000).fill(5));
    const device = bufferDevice();
    const both = { ...options, backingFile: 'base', backingFormat: 'raw', resolve: async () => keptOpen(shared) };
    await expect(Qcow2Image.create(device, both)).rejects.toThrow(collision('data file', 'backing file'));
    expectSame(shared.bytes(), new Uint8Array(1000).fill(5));
    expect(device.size).toBe(0);
  });

  test('calls resolve once for each file that the image names', async () => {
    const asked: string[] = [];
    const resolve = async ({ kind, name }: { kind: string; name: string }): Promise<Resolved> => {
      asked.push(`${kind} ${name}`);
      return kind === 'data' ? bufferDevice() : { source: new Uint8Array(SIZE).fill(3), format: 'raw' };
    };
    const image = await Qcow2Image.create(bufferDevice(), {
      ...options,
      backingFile: 'base.raw',
      backingFormat: 'raw',
      resolve,
    });
    expect(asked).toEqual(['data disk.raw', 'backing base.raw']);
    const bytes = new Uint8Array(4);
    await image.read(0, bytes);
    expect([...bytes]).toEqual([3, 3, 3, 3]);
    await image.close();
  });
});

describe('two writers of one file', () => {
  const locked = expect.objectContaining({ name: 'Qcow2Error', code: 'locked' });
  const ways: [string, () => Promise<() => BlockDevice>][] = [
    [
      'one device',
      async () => {
        const device = bufferDevice(await imageBytes({}));
        return () => device;
      },
    ],
    [
      'two devices of one file',
      async () => {
        const path = newPath();
        const first = fileDevice(path, { create: true });
        await first.write([{ at: 0, bytes: await imageBytes({}) }]);
        first.close?.();
        return () => fileDevice(path);
      },
    ],
  ];

  test.each(ways)('are refused, until the first is closed: %s', async (_, make) => {
    const device = await make();
    const first = await Qcow2Image.open(device(), { mode: 'readwrite' });
    await expect(Qcow2Image.open(device(), { mode: 'readwrite' })).rejects.toThrow(locked);
    await expect(Qcow2Image.create(device(), { size: SIZE })).rejects.toThrow(locked);
    await first.write(0, new Uint8Array(512).fill(1));
    await first.close();
    const second = await Qcow2Image.open(device(), { mode: 'readwrite' });
    const bytes = new Uint8Array(1);
    await second.read(0, bytes);
    expect(bytes[0]).toBe(1);
    await second.close();
  });

  test('are allowed one after the other when only the device of the first was closed', async () => {
    const path = newPath();
    const first = fileDevice(path, { create: true });
    const left = await Qcow2Image.create(first, { size: SIZE });
    await left.write(0, new Uint8Array(512).fill(1));
    await left.flush();
    const refused = fileDevice(path);
    await expect(Qcow2Image.open(refused, { mode: 'readwrite' })).rejects.toThrow(locked);
    first.close?.();
    const second = await Qcow2Image.open(fileDevice(path), { mode: 'readwrite' });
    // The first has nothing to release any more.
    await left.close().catch(() => {});
    await expect(Qcow2Image.open(refused, { mode: 'readwrite' })).rejects.toThrow(locked);
    await second.close();
    await (await Qcow2Image.open(refused, { mode: 'readwrite' })).close();
    refused.close?.();
  });

  test('are allowed when the first was garbage-collected with its device', { timeout: 60_000 }, async () => {
    const path = newPath();
    const drop = async () => {
      await Qcow2Image.create(fileDevice(path, { create: true }), { size: SIZE });
    };
    await drop();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await expect
      .poll(
        async () => {
          collect();
          const again = fileDevice(path);
          try {
            await (await Qcow2Image.open(again, { mode: 'readwrite' })).close();
            return 'open';
          } catch (error) {
            return error instanceof Qcow2Error ? error.code : error;
          } finally {
            again.close?.();
          }
        },
        { timeout: 30_000 },
      )
      .toBe('open');
  });

  test('are refused when they open at once', async () => {
    const device = bufferDevice(await imageBytes({}));
    const both = await Promise.allSettled([1, 2].map(() => Qcow2Image.open(device, { mode: 'readwrite' })));
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(both[1]).toMatchObject({ reason: { code: 'locked' } });
  });

  test('are refused when one is another image’s data file', async () => {
    const data = bufferDevice();
    const options = { size: SIZE, dataFile: 'disk.raw', resolve: async () => data };
    const first = await Qcow2Image.create(bufferDevice(), options);
    await first.write(0, new Uint8Array(512).fill(1));
    await expect(Qcow2Image.create(data, { size: SIZE })).rejects.toThrow(locked);
    const overOther = { ...options, resolve: async () => keptOpen(data) };
    await expect(Qcow2Image.create(bufferDevice(), overOther)).rejects.toThrow(locked);
    const bytes = new Uint8Array(1);
    await first.read(0, bytes);
    expect(bytes[0]).toBe(1);
    await first.close();
  });

  test('do not conflict when the first opening failed', async () => {
    const device = bufferDevice(new Uint8Array(100));
    await expect(Qcow2Image.open(device, { mode: 'readwrite' })).rejects.toMatchObject({ code: 'not-qcow2' });
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(Qcow2Image.open(device, { mode: 'readwrite', signal: aborted })).rejects.toThrow('enough');
    await (await Qcow2Image.create(device, { size: SIZE, overwrite: true })).close();
    await (await Qcow2Image.open(device, { mode: 'readwrite' })).close();
  });
});

/** The device as another object that stays open when an image closes it. */
function keptOpen(device: BlockDevice): BlockDevice {
  return {
    get size() {
      return device.size;
    },
    identity: device,
    read: (transfers) => device.read(transfers),
    write: (transfers) => device.write(transfers),
    truncate: (size) => device.truncate(size),
    flush: () => device.flush(),
    close: () => {},
  };
}

function link(make: (target: string, path: string) => void, target: string): string {
  const path = newPath();
  make(target, path);
  return path;
}
