/** The tests of the library that this one continues, on resizing, and its faults: each with its guard here. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const MIB = 1024 * 1024;
const SIZE = 3 * MIB + 512;

const folder = new QemuFolder('seed-resizing');

function info(): Record<string, unknown> {
  expect(folder.tryImg('check', '-f', 'qcow2', 'image.qcow2')).toMatchObject({ status: 0 });
  return JSON.parse(folder.img('info', '--output=json', 'image.qcow2'));
}

describe('a disk', () => {
  it('grows, is not shrunk, and shrinks when data may be lost; what comes back is zeros (old data was)', async () => {
    const device = bufferDevice();
    const image = await Qcow2Image.create(device, { size: SIZE, clusterSize: 4096 });
    const disk = noiseOf(1, SIZE);
    await image.write(0, disk);
    for (const size of [SIZE + 512, 16 * MIB, 2 ** 42]) {
      await image.resize(size);
      expect(image.size).toBe(size);
      expectSame(await image.read(size - 512, 512), new Uint8Array(512));
      await image.write(size - 512, noiseOf(2, 512));
      expectSame(await image.read(size - 512, 512), noiseOf(2, 512));
    }
    for (const size of [MIB + 512 * 3, 0]) {
      const before = image.size;
      await image.flush();
      const bytes = device.bytes();
      await expect(image.resize(size)).rejects.toThrow(RangeError);
      expectSame(device.bytes(), bytes);
      expect(image.size).toBe(before);
      await image.resize(size, { shrink: true });
      await image.resize(SIZE);
      const left = disk.slice().fill(0, size);
      expectSame(await image.read(0, SIZE), left);
      await image.flush();
      folder.put('image.qcow2', device.bytes());
      expect(info()).toMatchObject({ 'virtual-size': SIZE });
      expectSame(folder.raw('image.qcow2'), left);
    }
    // What was cut is free: the header, two tables of refcounts and the L1 table remain.
    expect((await image.compact()).newSize).toBeLessThanOrEqual(4 * 4096);
    await image.close();
  });

  it('keeps its backing file, its name and its data (both were lost)', async () => {
    const base = noiseOf(3, SIZE);
    folder.put('base.raw', base);
    folder.img('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'image.qcow2', String(2 * MIB));
    const device = bufferDevice(folder.get('image.qcow2'));
    const resolve = async () => ({ source: base, format: 'raw' as const });
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve });
    const expected = new Uint8Array(4 * MIB);
    expected.set(base.subarray(0, MIB));
    await image.resize(MIB, { shrink: true });
    await image.resize(4 * MIB);
    expectSame(await image.read(0, 4 * MIB), expected);
    await image.close();
    folder.put('image.qcow2', device.bytes());
    expect(info()).toMatchObject({ 'backing-filename': 'base.raw', 'backing-filename-format': 'raw' });
    expectSame(folder.raw('image.qcow2'), expected);
  });
});
