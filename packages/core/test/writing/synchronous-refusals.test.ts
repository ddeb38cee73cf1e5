/** The forms that are done when they return, over everything that promises: refused before anything is started. */
import { describe, expect, it } from 'vitest';
import {
  type BlockDevice,
  type ByteSource,
  bufferDevice,
  bufferSource,
  type Done,
  Qcow2Image,
  withCache,
  withCoalescing,
} from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, filled } from '../support/image-builder.js';
import { softNoiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { LaterDevice, SlowDevice, slowSource } from '../support/slow-device.js';
import { WAITING_SOURCES } from '../support/waiting-sources.js';

const MIB = 1024 * 1024;
const CLUSTER = 65_536;
const folder = new QemuFolder('sync-refusals');
const built = buildImage({ size: MIB, clusters: new Map([0, 3].map((index) => [index, filled(0xaa)])) });
const refused = expect.objectContaining({ code: 'not-synchronous' });
const rest = () => new Promise((resolve) => setTimeout(resolve, 30));

/** A source that promises bytes, and returns nothing for an empty batch, as a loop over the transfers does. */
function looping(source: ByteSource): ByteSource {
  return {
    size: source.size,
    read(transfers) {
      if (transfers.length === 0) return;
      return (async () => {
        await null;
        await source.read(transfers);
      })();
    },
  };
}

/** Carries out a call in a microtask. */
const soon = async (work: () => Done): Promise<void> => {
  await null;
  await work();
};

/** A source over the image's bytes, made for each test. */
const SOURCES: Record<string, () => Promise<ByteSource>> = {
  ...Object.fromEntries(Object.entries(WAITING_SOURCES).map(([name, make]) => [name, () => make(built.bytes)])),
  'an asynchronous source': async () => slowSource(built.bytes),
  'an asynchronous source that returns undefined for an empty batch': async () => looping(bufferSource(built.bytes)),
  'a cache over an asynchronous source': async () => withCache(slowSource(built.bytes)),
  'a cache over one that returns undefined for an empty batch': async () =>
    withCache(looping(bufferSource(built.bytes))),
  'withCoalescing over a buffer': async () => withCoalescing(bufferSource(built.bytes)),
};
const sources = Object.entries(SOURCES);

/** Refuses, leaves the buffer alone for good, and holds no lock. */
async function expectRefused(image: Qcow2Image, offset: number): Promise<void> {
  const into = new Uint8Array(100).fill(0x11);
  expect(() => image.readSync(offset, into)).toThrow(refused);
  await rest();
  expect(into.every((byte) => byte === 0x11)).toBe(true);
}

describe('readSync', () => {
  it.each(sources)('over %s', async (_, make) => {
    const image = await Qcow2Image.open(await make());
    const before = await image.stats();
    for (const offset of [0, 3 * CLUSTER]) await expectRefused(image, offset);
    expect(await image.stats()).toEqual(before);
    // Warm or cold does not matter: what is refused once is refused always.
    await image.read(0, new Uint8Array(100));
    await expectRefused(image, 0);
    await image.close();
  });

  it.each(sources)('over %s as a backing file, raw', async (_, make) => {
    const over = buildImage({ size: MIB, backingName: 'base', clusters: new Map([[1, filled(1)]]) });
    const resolve = async () => ({ source: await make(), format: 'raw' as const });
    const image = await Qcow2Image.open(over.bytes, { resolve });
    await expectRefused(image, 0);
    await image.close();
  });

  it.each(sources)('over %s behind a backing file', async (_, make) => {
    const middle = buildImage({ size: MIB, backingName: 'base' });
    const top = buildImage({ size: MIB, backingName: 'middle' });
    const resolve = async ({ name }: { name: string }) => ({
      source: name === 'middle' ? bufferSource(middle.bytes) : await make(),
      format: 'qcow2' as const,
    });
    const image = await Qcow2Image.open(top.bytes, { resolve });
    await expectRefused(image, 0);
    await image.close();
  });

  it.each(sources)('over %s as a data file', async (_, make) => {
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw', 'split.qcow2', String(MIB));
    const image = await Qcow2Image.open(folder.get('split.qcow2'), { resolve: make });
    await expectRefused(image, 0);
    await image.close();
  });

  it('over a snapshot of an asynchronous image', async () => {
    folder.img('create', '-q', '-f', 'qcow2', 'snapshot.qcow2', String(MIB));
    folder.img('snapshot', '-c', 'first', 'snapshot.qcow2');
    const image = await Qcow2Image.open(slowSource(folder.get('snapshot.qcow2')));
    const view = await image.openSnapshot('first');
    await expectRefused(view, 0);
    await image.close();
  });

  it('while a write is running: it does not wait in the background', async () => {
    const device = new SlowDevice(bufferDevice(built.bytes), () => 7);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    const writing = image.write(0, new Uint8Array(100).fill(0x22));
    await expectRefused(image, 0);
    await writing;
    await image.close();
  });

  it('works over a cache of a synchronous source, and caches nothing after a failure', () => {
    let fails = true;
    const flaky: ByteSource = {
      size: built.bytes.length,
      read(transfers) {
        if (fails) throw new Error('not now');
        for (const { at, bytes } of transfers) bytes.set(built.bytes.subarray(at, at + bytes.length));
      },
    };
    const cached = withCache(flaky);
    const into = new Uint8Array(100);
    expect(() => cached.read([{ at: 0, bytes: into }])).toThrow('not now');
    fails = false;
    expect(cached.read([{ at: 0, bytes: into }])).toBeUndefined();
    expectSame(into, built.bytes.subarray(0, 100));
  });
});

describe('writeSync and flushSync', () => {
  it.each(['write', 'flush'] as const)('over a device of which only %s is asynchronous', async (slow) => {
    const memory = bufferDevice(built.bytes);
    const image = await Qcow2Image.open(new LaterDevice(memory, { [slow]: soon }), { mode: 'readwrite' });
    const bytes = new Uint8Array(100).fill(0x11);
    expect(() => image.writeSync(0, bytes)).toThrow(refused);
    bytes.fill(0x33);
    expect(() => image.flushSync()).toThrow(refused);
    await rest();
    expectSame(memory.bytes(), built.bytes);
    // The lock is free, and the promising forms work.
    await image.write(0, bytes);
    await image.flush();
    expect(() => image.flushSync()).toThrow(refused);
    await image.close();
  });

  it.each(sources)('over %s as a backing file: parts of clusters are copied from it', async (_, make) => {
    const over = buildImage({ size: MIB, backingName: 'base' });
    const memory = bufferDevice(over.bytes);
    const resolve = async () => ({ source: await make(), format: 'raw' as const });
    const image = await Qcow2Image.open(memory, { mode: 'readwrite', resolve });
    expect(() => image.writeSync(100, new Uint8Array(100))).toThrow(refused);
    expect(() => image.flushSync()).toThrow(refused);
    await rest();
    expectSame(memory.bytes(), over.bytes);
    await image.close();
  });
});

describe('a device that is probed for being asynchronous', () => {
  const failed = expect.objectContaining({ name: 'Qcow2Error', code: 'failed' });

  it.each<[string, (image: Qcow2Image) => void]>([
    ['writeSync', (image) => image.writeSync(0, new Uint8Array(512))],
    ['flushSync', (image) => image.flushSync()],
  ])('and fails then, fails the image, as any failed write does: %s', async (name, call) => {
    const memory = bufferDevice(built.bytes);
    const cause = new TypeError('disk gone');
    let gone = false;
    const device: BlockDevice = {
      get size() {
        return memory.size;
      },
      read: (transfers) => memory.read(transfers),
      write(transfers) {
        if (gone) throw cause;
        return memory.write(transfers);
      },
      truncate: (size) => memory.truncate(size),
      flush() {
        if (gone) throw cause;
        return memory.flush();
      },
    };
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    gone = true;
    expect(() => call(image)).toThrow(expect.objectContaining({ name: 'Qcow2Error', code: 'io', cause }));
    expect(() => call(image)).toThrow(failed);
    await expect(image.write(0, new Uint8Array(512))).rejects.toThrow(failed);
    // A flush has reported it, or closing does.
    const closing = image.close().catch((error: unknown) => error);
    expect(await closing).toEqual(name === 'flushSync' ? undefined : expect.objectContaining({ code: 'io' }));
  });

  it('by a flush, is not written to before that has ended', async () => {
    const memory = bufferDevice(built.bytes);
    const calls: string[] = [];
    const device: BlockDevice = {
      get size() {
        return memory.size;
      },
      read: (transfers) => memory.read(transfers),
      write(transfers) {
        if (transfers.length > 0) calls.push('write');
        return memory.write(transfers);
      },
      truncate: (size) => memory.truncate(size),
      async flush() {
        calls.push('flush begins');
        await rest();
        await memory.flush();
        calls.push('flush ends');
      },
    };
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    expect(() => image.writeSync(0, new Uint8Array(512))).toThrow(refused);
    expect(() => image.writeSync(0, new Uint8Array(512))).toThrow(refused);
    await image.write(0, new Uint8Array(512).fill(1));
    expect(calls.slice(0, 3)).toEqual(['flush begins', 'flush ends', 'write']);
    await image.close();
  });
});

describe('over codecs that were loaded', () => {
  it.each(['zlib', 'zstd'])('readSync inflates %s synchronously', async (type) => {
    const soft = softNoiseOf(1, MIB);
    folder.put('soft.raw', soft);
    const options = ['-o', `compression_type=${type}`];
    folder.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', ...options, 'soft.raw', 'packed.qcow2');
    const image = await Qcow2Image.open(folder.get('packed.qcow2'));
    const into = new Uint8Array(3 * CLUSTER);
    image.readSync(100, into);
    expectSame(into, soft.subarray(100, 100 + into.length));
    await image.close();
  });
});
