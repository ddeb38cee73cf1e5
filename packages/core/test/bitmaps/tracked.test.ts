/**
 * Auto bitmaps follow every change, whatever their granularity and the image's: QEMU finds in them what was written.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image, type Range } from '../../src/index.js';
import { BitmapModel } from '../support/bitmap-model.js';
import { numbers } from '../support/numbers.js';
import { QemuImage } from '../support/qemu-image.js';
import { qemuJudges } from '../support/qemu-judges.js';

const MIB = 1024 * 1024;
const qemu = new QemuImage('tracked-bitmaps');

/** What this library finds in a bitmap. */
async function dirtyOf(image: Qcow2Image, name: string): Promise<Range[]> {
  const ranges: Range[] = [];
  for await (const range of image.dirtyRanges(name)) ranges.push(range);
  return ranges;
}

/** Writes, zeroes and discards at random; notes in the models what a bitmap should say. */
async function change(image: Qcow2Image, next: () => number, steps: number, models: readonly BitmapModel[]) {
  for (let step = 0; step < steps; step++) {
    const offset = next() % image.size;
    const length = Math.min(image.size - offset, next() % (step % 7 === 0 ? 700_000 : 9000));
    const kind = next() % 8;
    if (kind < 4) await image.write(offset, new Uint8Array(length).fill(kind + 1));
    else if (kind === 4) await image.writeZeroes(offset, length);
    else if (kind === 5) await image.writeZeroes(offset, length, { unmap: true });
    else if (kind === 6) await image.discard(offset, length);
    else {
      await image.flush();
      continue;
    }
    for (const model of models) model.mark(offset, length);
  }
}

describe('auto bitmaps', () => {
  const size = 6 * MIB + 512 * 7;
  const kinds = [
    'cluster_size=512',
    'cluster_size=512,refcount_bits=1',
    'cluster_size=4k',
    'cluster_size=4k,lazy_refcounts=on',
    'cluster_size=64k',
    'cluster_size=2M',
    'cluster_size=16k,extended_l2=on',
    'cluster_size=4k,data_file=d.raw',
    'cluster_size=4k,data_file=d.raw,data_file_raw=on',
  ];
  it.each(kinds)('mark what was written: %s', async (options) => {
    const granularities = { finest: 512, usual: 65_536, coarse: 4 * MIB, coarsest: 2 ** 31 };
    const names = Object.entries(granularities);
    const models = names.map(([, granularity]) => new BitmapModel(granularity, size));
    qemu.create(options, size, granularities);
    const next = numbers(options.length * 7919 + 1);
    const device = bufferDevice(qemu.read());
    for (let session = 0; session < 3; session++) {
      const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve: async () => bufferDevice() });
      await change(image, next, 25, models);
      for (const [index, [name]] of names.entries()) {
        expect(await dirtyOf(image, name)).toEqual(models[index]!.ranges());
      }
      await change(image, next, 15, models);
      await image.close();
      qemu.write(device.bytes());
      expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
      expect(qemu.bitmaps()).toEqual(names.map(([name, granularity]) => ({ name, granularity, flags: ['auto'] })));
      names.forEach(([name], index) => {
        if (qemuJudges(index - session, 3)) expect(qemu.dirty(name), name).toEqual(models[index]!.ranges());
      });
    }
  });

  it('are written by QEMU and by this library in turns', async () => {
    qemu.create('cluster_size=512', size, { a: 512, b: 4096 });
    const models = [new BitmapModel(512, size), new BitmapModel(4096, size)];
    const next = numbers(3);
    for (let turn = 0; turn < 3; turn++) {
      const offset = 512 * (next() % 10_000);
      qemu.io(`write ${offset} 70000`, `discard ${offset + MIB} 512`);
      for (const model of models) model.mark(offset, 70_000);
      for (const model of models) model.mark(offset + MIB, 512);
      const device = bufferDevice(qemu.read());
      const image = await Qcow2Image.open(device, { mode: 'readwrite' });
      await change(image, next, 20, models);
      await image.close();
      qemu.write(device.bytes());
    }
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    expect(qemu.dirty('a')).toEqual(models[0]!.ranges());
    expect(qemu.dirty('b')).toEqual(models[1]!.ranges());
  });

  it('mark a whole disk without a cluster of bits', async () => {
    // 512-byte clusters hold 4096 bits: 2 MiB of the disk at this granularity, the last of which are not there.
    const bytes = 5 * MIB;
    qemu.create('cluster_size=512', bytes, { all: 512 });
    const device = bufferDevice(qemu.read());
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.discard(0, bytes);
    await image.close();
    // The last stretch is not full, and has a cluster: the bits behind the end must be clear.
    expect(Math.ceil(device.size / 512) - Math.ceil(qemu.read().length / 512)).toBe(1);
    const again = await Qcow2Image.open(device, { mode: 'readwrite' });
    await again.write(MIB, new Uint8Array(10));
    await again.close();
    qemu.write(device.bytes());
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    expect(qemu.dirty('all')).toEqual([{ start: 0, length: bytes }]);
    expect((await Qcow2Image.open(device)).bitmaps).toEqual([{ name: 'all', granularity: 512, flags: ['auto'] }]);
  });

  it('are written to the medium early when their bits take too much memory', async () => {
    // A cluster of bits of these stands for 256 MiB of the disk; 530 of them are more than the 32 MiB that are kept.
    const step = 256 * MIB;
    const bytes = 133 * step;
    qemu.create('cluster_size=64k', bytes, { a: 512, b: 512, c: 512, d: 512 });
    const model = new BitmapModel(512, bytes);
    const device = bufferDevice(qemu.read());
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    const round = async (at: number) => {
      for (let offset = at; offset < bytes; offset += step) {
        await image.write(offset, new Uint8Array(1024).fill(1));
        model.mark(offset, 1024);
      }
    };
    await round(0);
    // One flush for the flags, and those of a write-back that no flush asked for.
    expect((await image.stats()).deviceFlushes).toBeGreaterThan(1);
    await round(4096);
    expect((await image.stats()).deviceFlushes).toBeLessThan(10);
    await image.close();
    qemu.write(device.bytes());
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    for (const name of 'abcd') expect(qemu.dirty(name)).toEqual(model.ranges());
  });

  it('are unchanged when nothing is written', async () => {
    qemu.create('cluster_size=4k', size, { still: 512 });
    const device = bufferDevice(qemu.read());
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.flush();
    await image.close();
    expect(Buffer.compare(device.bytes(), qemu.read())).toBe(0);
  });
});

describe('bitmaps that are not tracked', () => {
  it('are unchanged: disabled ones, and those that were not closed', async () => {
    qemu.create('cluster_size=4k', MIB, { crashed: 4096, off: 4096, on: 4096 });
    qemu.io('write 0 8192');
    qemu.disableBitmap('off');
    const first = bufferDevice(qemu.read());
    const crashing = await Qcow2Image.open(first, { mode: 'readwrite' });
    await crashing.write(65_536, new Uint8Array(512));
    await crashing.flush();
    qemu.write(first.bytes());
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    const flags = { crashed: ['in-use', 'auto'], off: [], on: ['in-use', 'auto'] };
    const listed = () => Object.fromEntries(qemu.bitmaps().map(({ name, flags }) => [name, flags]));
    expect(listed()).toEqual(flags);
    qemu.removeBitmap('on');
    qemu.addBitmap('on', 4096);
    const device = bufferDevice(qemu.read());
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.write(131_072, new Uint8Array(512));
    expect(image.bitmaps.map(({ name, flags }) => [name, flags])).toEqual([
      ['crashed', ['in-use', 'auto']],
      ['off', []],
      ['on', ['in-use', 'auto']],
    ]);
    await image.close();
    qemu.write(device.bytes());
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    expect(listed()).toEqual({ ...flags, on: ['auto'] });
    expect(qemu.dirty('off')).toEqual([{ start: 0, length: 8192 }]);
    expect(qemu.dirty('on')).toEqual([{ start: 131_072, length: 4096 }]);
  });
});

describe('dirtyRanges()', () => {
  it('returns the state at the first range, whatever is written and stored meanwhile', async () => {
    // A cluster of bits stands for 256 MiB of the disk, and 16 of them are read at once: the bits take four reads.
    const size = 64 * 256 * MIB;
    qemu.create('cluster_size=64k', size, { marks: 512 });
    const image = await Qcow2Image.open(bufferDevice(qemu.read()), { mode: 'readwrite' });
    const marked = Array.from({ length: 4200 }, (_, index) => index * 1024);
    // More ranges than are handed on at once, and bits that are read later.
    const later = Array.from({ length: 63 }, (_, index) => (index + 1) * 256 * MIB);
    marked.push(...later);
    for (const start of marked) await image.write(start, new Uint8Array(512).fill(1));
    const ranges = image.dirtyRanges('marks');
    const found = [(await ranges.next()).value!];
    for (const start of later) await image.write(start + 4096, new Uint8Array(512).fill(2));
    // Another iteration brings the bits of those writes to the medium.
    expect(await dirtyOf(image, 'marks')).toHaveLength(4200 + 2 * 63);
    for await (const range of ranges) found.push(range);
    expect(found).toEqual(marked.map((start) => ({ start, length: 512 })));
    await image.close();
  });
});
