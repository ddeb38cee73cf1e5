/**
 * Bitmaps that cannot be kept up to date go before the first change, in an order that survives a crash, and leave no
 * leak.
 */
import { describe, expect, it } from 'vitest';
import { type Bitmap, decodeBitmaps, encodeBitmaps } from '../../src/format/bitmaps.js';
import {
  type BitmapsExtension,
  decodeBitmapsExtension,
  encodeBitmapsExtension,
} from '../../src/format/bitmaps-extension.js';
import { setUint64, viewOf } from '../../src/format/bytes.js';
import { dropExtensions } from '../../src/format/encode-extensions.js';
import { decodeExtensions, findExtension } from '../../src/format/extensions.js';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { crashed, epochsOf, sectorsOf } from '../support/power-cut.js';
import { QemuImage } from '../support/qemu-image.js';
import { qemuJudges } from '../support/qemu-judges.js';
import { DeviceLog } from '../support/recording-device.js';

const MIB = 1024 * 1024;
const BITMAPS = 0x23852875;
const qemu = new QemuImage('untracked-bitmaps');

/** The parts of a bitmap image that are spoilt here. */
class ChangedImage {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly extension: BitmapsExtension;
  readonly extensionAt: number;
  readonly bitmaps: Bitmap[];

  constructor(bytes: Uint8Array) {
    // QEMU does not write the last cluster of a directory to its end.
    this.bytes = new Uint8Array(Math.ceil(bytes.length / 4096) * 4096);
    this.bytes.set(bytes);
    this.view = viewOf(this.bytes);
    const list = decodeExtensions(this.bytes, this.view.getUint32(100), 2 ** this.view.getUint32(20));
    const found = findExtension(list, BITMAPS)!;
    this.extension = decodeBitmapsExtension(found);
    this.extensionAt = found.offset;
    const { directoryOffset: at, directorySize } = this.extension;
    this.bitmaps = decodeBitmaps(this.bytes.subarray(at, at + directorySize), this.extension.count, at);
  }

  /** Writes the directory anew, in its place. */
  put(change: (bitmap: Bitmap) => Bitmap): void {
    const encoded = encodeBitmaps(this.bitmaps.map(change));
    this.bytes.set(encoded, this.extension.directoryOffset);
    this.bytes.set(encodeBitmapsExtension({ ...this.extension, directorySize: encoded.length }), this.extensionAt);
  }
}

/** An image whose bitmap `b` has bits in clusters, and another that does not follow. */
function image(options = 'cluster_size=4k'): ChangedImage {
  qemu.create(options, 64 * MIB, { a: 512, b: 65_536 });
  qemu.io('write 0 64k', 'write 40M 64k');
  qemu.disableBitmap('a');
  return new ChangedImage(qemu.read());
}

async function writeOnce(bytes: Uint8Array, verify = true): Promise<Uint8Array> {
  const device = bufferDevice(bytes);
  const image = await Qcow2Image.open(device, { mode: 'readwrite', verify });
  await image.write(MIB, new Uint8Array(512).fill(1));
  expect(image.bitmaps).toEqual([]);
  expect(image.info.extensions.map(({ type }) => type)).not.toContain(BITMAPS);
  await image.close();
  return device.bytes();
}

describe('bitmaps that cannot be updated', () => {
  const spoil: Record<string, (image: ChangedImage) => void> = {
    'unknown flags': (image) => image.put((bitmap) => ({ ...bitmap, flags: bitmap.flags | 8 })),
    'extra data that must be understood': (image) =>
      image.put((bitmap) => ({ ...bitmap, extra: new Uint8Array(12).fill(9) })),
  };
  it.each(Object.entries(spoil))('are removed by a compaction, which frees leaks: %s', async (_, change) => {
    const changed = image();
    change(changed);
    const device = bufferDevice(changed.bytes);
    const opened = await Qcow2Image.open(device, { mode: 'readwrite' });
    await opened.compact();
    expect(opened.bitmaps).toEqual([]);
    expect(await opened.check()).toMatchObject({ corruptions: 0, leaks: 0 });
    await opened.close();
    qemu.write(device.bytes());
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
  });

  it.each(Object.entries(spoil))('are removed without a leak: %s', async (_, change) => {
    const changed = image();
    change(changed);
    qemu.write(await writeOnce(changed.bytes));
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    expect(qemu.bitmaps()).toEqual([]);
    qemu.addBitmap('new');
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
  });

  const damage: Record<string, (image: ChangedImage) => void> = {
    'a table that is too short': (image) => image.put((bitmap) => ({ ...bitmap, tableSize: bitmap.tableSize - 1 })),
    'no table': (image) => image.put((bitmap) => ({ ...bitmap, tableSize: 0, tableOffset: 0 })),
    'a table outside the file': (image) => image.put((bitmap) => ({ ...bitmap, tableOffset: 2 ** 40 })),
    'a table that is the L1 table': (image) =>
      image.put((bitmap) => ({ ...bitmap, tableOffset: Number(image.view.getBigUint64(40)) })),
    'one table for both': (image) => image.put((bitmap) => ({ ...bitmap, tableOffset: image.bitmaps[0]!.tableOffset })),
    'an entry with reserved bits': (image) => image.view.setUint8(image.bitmaps[1]!.tableOffset, 1),
    'bits in a cluster of guest data, and an invalid entry': (image) => {
      const l2 = Number(image.view.getBigUint64(Number(image.view.getBigUint64(40))) & 0xff_ffff_ffff_fe00n);
      const data = Number(image.view.getBigUint64(l2) & 0xff_ffff_ffff_fe00n);
      setUint64(image.view, image.bitmaps[0]!.tableOffset, data);
      image.view.setUint8(image.bitmaps[0]!.tableOffset + 8, 1);
      image.put((bitmap) => ({ ...bitmap, flags: bitmap.flags | 8 }));
    },
    'bits in the refcount table': (image) =>
      setUint64(image.view, image.bitmaps[1]!.tableOffset, Number(image.view.getBigUint64(48))),
    'bits past the end of the file': (image) => setUint64(image.view, image.bitmaps[1]!.tableOffset, 2 ** 40),
    'a table that is the directory': (image) =>
      image.put((bitmap) => ({ ...bitmap, tableOffset: image.extension.directoryOffset })),
  };
  it.each(Object.entries(damage))('are removed without damage: %s', async (_, change) => {
    const changed = image();
    change(changed);
    qemu.write(await writeOnce(changed.bytes, false));
    expect(qemu.check().corruptions).toBe(0);
    expect(qemu.bitmaps()).toEqual([]);
    qemu.repairLeaks();
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
  });

  it.each([
    ['in two sectors', 'cluster_size=4k', false],
    ['in the middle of the list', 'cluster_size=4k', true],
    ['in the middle of the list, in the second sector', 'cluster_size=4k,backing_fmt=raw,backing_file=base.raw', true],
    ['in the second sector', 'cluster_size=4k,backing_fmt=raw,backing_file=base.raw', false],
  ])(
    'leave an image that can be opened at every moment of the removal: %s',
    { timeout: 60_000 },
    async (_, options, more) => {
      qemu.folder.put('base.raw', new Uint8Array(64 * MIB));
      const changed = image(options);
      changed.put((bitmap) => ({ ...bitmap, flags: bitmap.flags | 8 }));
      if (more) {
        // Over the end of the list, which QEMU pads with zeros: one of an unknown type.
        const name = Number(changed.view.getBigUint64(8));
        const text = changed.bytes.slice(name, name + changed.view.getUint32(16));
        changed.view.setUint32(changed.extensionAt + 24, 0x12345678);
        changed.view.setUint32(changed.extensionAt + 28, 5);
        changed.bytes.fill(7, changed.extensionAt + 32, changed.extensionAt + 40);
        changed.bytes.fill(0, changed.extensionAt + 40, changed.extensionAt + 48);
        if (name !== 0) {
          setUint64(changed.view, 8, changed.extensionAt + 48);
          changed.bytes.set(text, changed.extensionAt + 48);
        }
      }
      const log = new DeviceLog();
      const resolve = async () => ({ source: new Uint8Array(64 * MIB), format: 'raw' as const });
      const writing = await Qcow2Image.open(log.add(changed.bytes), { mode: 'readwrite', resolve });
      await writing.write(MIB, new Uint8Array(512).fill(1));
      await writing.close();
      const epochs = epochsOf(log);
      expect(epochs[0]!.map(({ at, bytes }) => [at, bytes.length])).toEqual([[0, 512]]);
      for (let flushes = 1; flushes < epochs.length; flushes++) {
        const sectors = epochs[flushes]!.flatMap(sectorsOf).length;
        for (let subset = 0; subset < Math.min(16, 2 ** sectors); subset++) {
          const left = crashed(changed.bytes, epochs, flushes, (index) => ((subset >> index) & 1) === 1);
          const opened = await Qcow2Image.open(left, { resolve });
          expect((await opened.check()).corruptions).toBe(0);
          expect(opened.bitmaps).toEqual([]);
          if (!qemuJudges(subset)) continue;
          qemu.write(left);
          expect(qemu.check().corruptions).toBe(0);
          expect(qemu.bitmaps()).toEqual([]);
        }
      }
      qemu.write(crashed(changed.bytes, epochs, epochs.length, () => true));
      expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
      const { info } = await Qcow2Image.open(qemu.read(), { resolve });
      expect(info.extensions.some(({ type }) => type === 0x12345678)).toBe(more);
      expect(info.backingFile).toBe(options.includes('base') ? 'base.raw' : undefined);
    },
  );

  it('are removed by the type alone of an extension whose type and length may be torn apart', () => {
    const at = (offset: number) => ({ type: BITMAPS, offset, data: new Uint8Array(24) });
    expect(dropExtensions([at(516)], BITMAPS)).toEqual([{ at: 508, bytes: new TextEncoder().encode('gone') }]);
    expect(dropExtensions([at(512)], BITMAPS).map(({ at }) => at)).toEqual([504]);
  });
});

describe('bitmaps without the autoclear bit', () => {
  it('are ignored', async () => {
    const { bytes, view } = image();
    view.setUint32(92, view.getUint32(92) & ~1);
    const device = bufferDevice(bytes);
    const writing = await Qcow2Image.open(device, { mode: 'readwrite' });
    await writing.write(0, new Uint8Array(8 * MIB).fill(3));
    await writing.close();
    const after = device.bytes();
    const { extensionAt } = new ChangedImage(after);
    expect([...after.subarray(0, extensionAt + 24)]).toEqual([...bytes.subarray(0, extensionAt + 24)]);
    qemu.write(after);
    expect(qemu.check().corruptions).toBe(0);
    qemu.repairLeaks();
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
  });
});

describe('extra data that may be ignored', () => {
  it('is kept with its bitmap, which is tracked', async () => {
    const changed = image();
    const extra = Uint8Array.of(1, 2, 3, 4, 5);
    changed.put((bitmap) => ({ ...bitmap, extra, flags: bitmap.flags | 4 }));
    const device = bufferDevice(changed.bytes);
    const writing = await Qcow2Image.open(device, { mode: 'readwrite' });
    await writing.write(20 * MIB, new Uint8Array(512).fill(1));
    await writing.close();
    const after = new ChangedImage(device.bytes());
    expect(after.bitmaps.map(({ extra, flags }) => [[...extra], flags])).toEqual([
      [[...extra], 4],
      [[...extra], 6],
    ]);
    // QEMU takes no extra data: it sees the bits when they are taken away.
    after.put((bitmap) => ({ ...bitmap, extra: new Uint8Array(0), flags: bitmap.flags & 3 }));
    qemu.write(after.bytes);
    expect(qemu.check()).toEqual({ corruptions: 0, leaks: 0 });
    const ranges = [0, 20 * MIB, 40 * MIB].map((start) => ({ start, length: 65_536 }));
    expect(qemu.dirty('b')).toEqual(ranges);
  });
});
