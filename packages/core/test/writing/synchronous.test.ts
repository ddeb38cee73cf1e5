/**
 * The forms that are done when they return: over layers that answer at once, and refused over others, with the layer's
 * name.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, filled } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { SlowDevice, slowSource } from '../support/slow-device.js';

const MIB = 1024 * 1024;
const CLUSTER = 65_536;
const folder = new QemuFolder('sync');

describe('synchronous forms', () => {
  it('write, read and flush before they return, over new, allocated and backing clusters', async () => {
    const base = noiseOf(1, MIB);
    const built = buildImage({ size: MIB, backingName: 'base.raw', clusters: new Map([[2, filled(3)]]) });
    const device = bufferDevice(built.bytes);
    const resolve = async () => ({ source: base, format: 'raw' as const });
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve });
    const disk = base.slice();
    disk.fill(3, 2 * CLUSTER, 3 * CLUSTER);
    for (const [at, length] of [
      [100, 200],
      [CLUSTER - 50, 100],
      [2 * CLUSTER + 5, 3 * CLUSTER],
      [MIB - 1, 1],
    ] as const) {
      image.writeSync(at, noiseOf(at, length));
      disk.set(noiseOf(at, length), at);
      const into = new Uint8Array(MIB);
      image.readSync(0, into);
      expectSame(into, disk);
    }
    image.flushSync();
    // Nothing more comes after the flush: what is on the device now is the image.
    folder.put('base.raw', base);
    folder.put('image.qcow2', device.bytes());
    folder.img('check', '-f', 'qcow2', 'image.qcow2');
    expectSame(folder.raw('image.qcow2'), disk);
    await image.close();
  });

  it('throw what the asynchronous forms reject with', async () => {
    const image = await Qcow2Image.open(bufferDevice(buildImage({ size: MIB }).bytes), { mode: 'readwrite' });
    expect(() => image.writeSync(MIB, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    expect(() => image.readSync(MIB, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'out-of-range' }));
    expect(() => image.writeSync(0, [1] as never)).toThrow(TypeError);
    await image.close();
    expect(() => image.writeSync(0, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'closed' }));
    expect(() => image.flushSync()).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  it('are refused over an asynchronous device, and change nothing', async () => {
    const { bytes } = buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]) });
    const device = bufferDevice(bytes);
    const image = await Qcow2Image.open(new SlowDevice(device, () => 1), { mode: 'readwrite' });
    const refused = expect.objectContaining({ code: 'not-synchronous', details: { what: 'image', depth: 0 } });
    expect(() => image.writeSync(0, new Uint8Array(1))).toThrow(refused);
    expect(() => image.flushSync()).toThrow(refused);
    expect(() => image.readSync(0, new Uint8Array(1))).toThrow(refused);
    await image.close();
    expectSame(device.bytes(), bytes);
  });

  it('are refused over an asynchronous backing file: a part of a cluster would have to be copied from it', async () => {
    const built = buildImage({ size: MIB, backingName: 'base.raw' });
    const device = bufferDevice(built.bytes);
    const resolve = async () => ({ source: slowSource(noiseOf(1, MIB)), format: 'raw' as const });
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve });
    const refused = expect.objectContaining({ code: 'not-synchronous', details: { what: 'backing file', depth: 1 } });
    expect(() => image.writeSync(100, noiseOf(2, 10))).toThrow(refused);
    expect(() => image.readSync(100, new Uint8Array(10))).toThrow(refused);
    await image.close();
    expectSame(device.bytes(), built.bytes); // nothing was written behind the caller's back
  });

  it('are refused over an asynchronous data file, and over a Blob', async () => {
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw', 'split.qcow2', String(MIB));
    const data = new SlowDevice(bufferDevice(), () => 1);
    const split = await Qcow2Image.open(bufferDevice(folder.get('split.qcow2')), {
      mode: 'readwrite',
      resolve: async () => data,
    });
    const details = { what: 'data file', depth: 1 };
    expect(() => split.writeSync(0, new Uint8Array(1))).toThrow(
      expect.objectContaining({ code: 'not-synchronous', details }),
    );
    await split.close();
    const blob = await Qcow2Image.open(
      new Blob([buildImage({ size: MIB, clusters: new Map([[0, filled(1)]]) }).bytes]),
    );
    expect(() => blob.readSync(0, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'not-synchronous' }));
    await blob.close();
  });

  it('are refused while another request is running', async () => {
    const built = buildImage({ size: MIB, backingName: 'base.raw' });
    const resolve = async () => ({ source: slowSource(noiseOf(1, MIB)), format: 'raw' as const });
    const image = await Qcow2Image.open(bufferDevice(built.bytes), { mode: 'readwrite', resolve });
    const writing = image.write(100, noiseOf(2, 10)); // waits for what is copied from the backing file
    expect(() => image.flushSync()).toThrow(expect.objectContaining({ code: 'not-synchronous' }));
    await writing;
    await image.close();
  });
});
