/**
 * A verb that fails or is aborted in the middle, once, and is not called again at once: what is written and flushed
 * afterwards is there, and QEMU finds nothing wrong.
 */
import { describe, expect, it } from 'vitest';
import { type BlockDevice, bufferDevice, Qcow2Error, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { FaultyDevice } from '../support/faulty-device.js';
import { buildImage, filled } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const MIB = 2 ** 20;
const IMAGE = 'image.qcow2';
const FRUGAL = { refcountBytes: 0, l2Bytes: 0 };

const folder = new QemuFolder('interrupted');
const bad = new Error('The disk is on fire.');
const STOPPED = new Error('Enough.');

/** Fails the nth read of `work`, and only that; returns false when there were fewer. */
async function failsAtRead(device: FaultyDevice, nth: number, work: () => Promise<unknown>): Promise<boolean> {
  const before = device.calls.filter(({ call }) => call === 'read').length;
  device.fault = { call: 'read', nth: before + nth, error: bad, promised: false };
  await work().catch(() => {});
  const { failed } = device;
  device.fault = null;
  device.failed = false;
  return failed;
}

function judge(bytes: Uint8Array): void {
  folder.put(IMAGE, bytes);
  const check = folder.tryImg('check', '-f', 'qcow2', IMAGE);
  expect(check, check.out + check.error).toMatchObject({ status: 0 });
}

/** An image that its refcount table nearly cannot count any more: the new L1 table makes it grow, and move. */
async function nearlyCounted(lazyRefcounts: boolean): Promise<Uint8Array<ArrayBuffer>> {
  const file = bufferDevice();
  const image = await Qcow2Image.create(file, { size: 12 * MIB, clusterSize: 512, lazyRefcounts });
  for (let at = 0; file.size < 8 * MIB - 20 * 512; ) {
    const bytes = noiseOf(at, file.size < 8 * MIB - 200 * 512 ? 64 * 512 : 512);
    await image.write(at, bytes);
    at += bytes.length;
  }
  await image.close();
  return file.bytes();
}

describe('after one failed read', () => {
  it.each([false, true])('in growing, flushed writes are there; lazy refcounts: %s', async (lazyRefcounts) => {
    const start = await nearlyCounted(lazyRefcounts);
    for (let nth = 0; ; nth++) {
      const file = bufferDevice(start);
      const device = new FaultyDevice(file);
      const image = await Qcow2Image.open(device, { mode: 'readwrite', cache: FRUGAL });
      const failed = await failsAtRead(device, nth, () => image.resize(100 * MIB));
      const bytes = noiseOf(99, 512 * 200);
      await image.write(11 * MIB, bytes);
      await image.flush();
      await image.close();
      judge(file.bytes());
      const again = await Qcow2Image.open(file.bytes());
      expectSame(await again.read(11 * MIB, bytes.length), bytes);
      if (!failed) break;
    }
  });

  it.each([
    ['shrinking', 64, 3.5],
    ['growing', 4, 2048],
  ])('in %s with bitmaps, QEMU reads the image, and the verb can be called again', async (_, from, to) => {
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', IMAGE, `${from}M`);
    for (const name of ['a', 'b', 'still']) folder.img('bitmap', '--add', '-g', '512', IMAGE, name);
    folder.img('bitmap', '--disable', IMAGE, 'still');
    folder.io(IMAGE, 'write -P 1 0 3M', ...(from > 40 ? ['write -P 3 40M 4M'] : []));
    const start = folder.get(IMAGE);
    for (let nth = 0; ; nth++) {
      const file = bufferDevice(start);
      const device = new FaultyDevice(file);
      const image = await Qcow2Image.open(device, { mode: 'readwrite', cache: FRUGAL });
      const resize = () => image.resize(to * MIB, { shrink: true });
      const failed = await failsAtRead(device, nth, resize);
      if (failed && nth % 2 === 0) await resize();
      const { size } = image;
      if (!failed || nth % 2 === 0) expect(size).toBe(to * MIB);
      await image.close();
      judge(file.bytes());
      const flags = (await Qcow2Image.open(file.bytes())).bitmaps.map(({ flags: [flag] }) => flag);
      expect(flags).toEqual(['auto', 'auto', undefined]);
      if (!failed) break;
    }
  });
});

describe('a resize that was aborted', () => {
  it('is completed by another one to the same size', async () => {
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', IMAGE, '64M');
    folder.io(IMAGE, 'write -P 1 0 5M', 'write -P 3 40M 4M');
    const file = bufferDevice(folder.get(IMAGE));
    const image = await Qcow2Image.open(file, { mode: 'readwrite' });
    const onProgress = (): void => {
      throw STOPPED;
    };
    const size = 4 * MIB + 512;
    await expect(image.resize(size, { shrink: true, onProgress })).rejects.toBe(STOPPED);
    expect(image.size).toBe(size);
    await image.resize(size, { shrink: true });
    await image.close();
    judge(file.bytes());
    folder.img('resize', '-q', '-f', 'qcow2', IMAGE, '64M');
    const expected = new Uint8Array(64 * MIB);
    expectSame(folder.raw(IMAGE), expected.fill(1, 0, size));
  });

  it('has given back what a growing has written over a longer backing file', async () => {
    folder.put('base.raw', noiseOf(3, 16 * MIB));
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', '-b', 'base.raw', '-F', 'raw', IMAGE, '1M');
    const base = folder.get('base.raw');
    const file = bufferDevice(folder.get(IMAGE));
    const image = await Qcow2Image.open(file, {
      mode: 'readwrite',
      resolve: async () => ({ source: base, format: 'raw' }),
    });
    await image.flush();
    const { data } = await image.usage();
    const onProgress = ({ done }: { done: number }): void => {
      if (done > 0) throw STOPPED;
    };
    await expect(image.resize(16 * MIB, { onProgress })).rejects.toBe(STOPPED);
    expect(image.size).toBe(MIB);
    await image.flush();
    expect((await image.usage()).data).toBe(data);
    await image.close();
    judge(file.bytes());
  });
});

describe('a device that cannot grow', () => {
  it.each(['compact', 'shrink'] as const)('does not fail: %s', async (verb) => {
    folder.put('source.raw', noiseOf(5, MIB).fill(0, 900_000));
    folder.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'source.raw', IMAGE);
    const file = bufferDevice(folder.get(IMAGE));
    const quota = file.size;
    // The last cluster is not whole.
    expect(quota % 65_536).toBeGreaterThan(0);
    const refuse = (end: number): void => {
      if (end > quota) throw new Qcow2Error('no-space', 'The quota is spent.', { what: 'test' });
    };
    const full: BlockDevice = {
      get size() {
        return file.size;
      },
      read: (transfers) => file.read(transfers),
      write(transfers) {
        for (const { at, bytes } of transfers) refuse(at + bytes.length);
        return file.write(transfers);
      },
      flush: () => file.flush(),
      truncate(size) {
        refuse(size);
        return file.truncate(size);
      },
    };
    const image = await Qcow2Image.open(full, { mode: 'readwrite' });
    if (verb === 'compact') await image.compact();
    else await image.resize(image.size - 512, { shrink: true });
    await image.close();
    judge(file.bytes());
  });
});

it('refuses to resize an image with a snapshot that has no size of its own', async () => {
  const { bytes } = buildImage({
    clusters: new Map([[0, filled(1)]]),
    snapshots: [{ id: '1', name: 'one', extra: new Uint8Array(0) }],
  });
  const image = await Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite', verify: false });
  await expect(image.resize(512, { shrink: true })).rejects.toMatchObject({ code: 'unsupported' });
  await image.close();
});
