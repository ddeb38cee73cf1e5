/**
 * Promises, buffers and Blobs of another realm, as of an iframe, a test runner or a `vm` context; and Buffers of Node.
 */
import { runInNewContext } from 'node:vm';
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
import { buildImage, type Cell } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { type Later, LaterDevice } from '../support/slow-device.js';

const MIB = 1024 * 1024;
const CLUSTER = 65_536;
const folder = new QemuFolder('realms');
const realm = runInNewContext('({ Promise, Uint8Array, ArrayBuffer, Error, WeakMap })') as typeof globalThis;

/** Does something after a time. */
type Postpone = (work: () => void, milliseconds: number) => Done;

/** Ways to say "later": a promise of another realm, and something that has nothing of a promise but `then`. */
const LATERS: Record<string, Postpone> = {
  'promises of another realm': (work, milliseconds) =>
    new realm.Promise<void>((resolve) => {
      setTimeout(() => resolve(work()), milliseconds);
    }),
  thenables(work, milliseconds) {
    const promise = new Promise<void>((resolve) => {
      setTimeout(() => resolve(work()), milliseconds);
    });
    // biome-ignore lint/suspicious/noThenProperty: it is what libraries return
    return { then: (resolve: () => void) => void promise.then(resolve) } as never;
  },
};
const laters = Object.entries(LATERS);

describe.each(laters)('a device that returns %s', (_, later) => {
  it('is awaited: written data is read, flush ends last, and QEMU agrees', async () => {
    const memory = bufferDevice();
    /** Writes that have begun and not ended. */
    let writing = 0;
    const soon: Later = (work) => later(work, 1);
    const write: Later = (work) => {
      writing++;
      return later(() => {
        work();
        writing--;
      }, 20);
    };
    const device = new LaterDevice(memory, { read: soon, write, truncate: soon, flush: soon });
    const image = await Qcow2Image.create(device, { size: MIB });
    const disk = new Uint8Array(MIB);
    for (let step = 0; step < 8; step++) {
      const bytes = noiseOf(step, 3000 + step * 20_000);
      await image.write(step * 40_000, bytes);
      disk.set(bytes, step * 40_000);
      // In place: this write is one call of the device, and nothing else.
      const patch = noiseOf(step + 100, 100);
      const patching = image.write(step * 40_000 + 10, patch);
      disk.set(patch, step * 40_000 + 10);
      const into = new Uint8Array(MIB);
      const reading = image.read(0, into);
      const flushing = image.flush().then(() => expect(writing).toBe(0));
      await Promise.all([patching, reading, flushing]);
      expectSame(into, disk);
    }
    expect(() => image.readSync(0, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'not-synchronous' }));
    expect(() => image.writeSync(0, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'not-synchronous' }));
    await image.close();
    folder.put('image.qcow2', memory.bytes());
    folder.img('check', '-f', 'qcow2', 'image.qcow2');
    expectSame(folder.raw('image.qcow2'), disk);
  });

  it('is awaited behind withCache and withCoalescing, and as a backing file; its errors are thrown', async () => {
    const built = buildImage({
      size: MIB,
      clusters: new Map([[2, { kind: 'data', bytes: noiseOf(1, CLUSTER) } as Cell]]),
    });
    const memory = bufferSource(built.bytes);
    const source: ByteSource = { size: memory.size, read: (transfers) => later(() => void memory.read(transfers), 1) };
    for (const decorated of [source, withCache(source), withCoalescing(source), withCache(withCoalescing(source))]) {
      const over = buildImage({ size: MIB, backingName: 'base' });
      const resolve = async () => ({ source: decorated, format: 'qcow2' as const });
      const image = await Qcow2Image.open(over.bytes, { resolve });
      const into = new Uint8Array(CLUSTER);
      await image.read(2 * CLUSTER, into);
      expectSame(into, noiseOf(1, CLUSTER));
      await image.close();
    }
  });
});

describe('values of another realm', () => {
  const built = buildImage({
    size: MIB,
    clusters: new Map([[0, { kind: 'data', bytes: noiseOf(1, CLUSTER) } as Cell]]),
  });

  it('are opened, read into and written from', async () => {
    const bytes = new realm.Uint8Array(built.bytes.length);
    bytes.set(built.bytes);
    expect(bytes).not.toBeInstanceOf(Uint8Array);
    for (const openable of [bytes, bytes.buffer]) {
      const image = await Qcow2Image.open(openable);
      const into = new realm.Uint8Array(CLUSTER);
      await image.read(0, into);
      expectSame(new Uint8Array(into), noiseOf(1, CLUSTER));
      image.readSync(0, into);
      await image.close();
    }
    const image = await Qcow2Image.create(bufferDevice(), { size: MIB });
    const own = new realm.Uint8Array(100);
    own.fill(7);
    await image.write(5, own);
    image.writeSync(200, own);
    const writer = image.writable({ start: 1000 }).getWriter();
    await writer.write(own);
    await writer.close();
    const into = new Uint8Array(1200);
    await image.read(0, into);
    expect([into[4], into[5], into[104], into[105], into[200], into[299], into[1000], into[1099]]).toEqual([
      0, 7, 7, 0, 7, 7, 7, 7,
    ]);
    await image.close();
  });

  it('other values are not accepted as bytes', async () => {
    const image = await Qcow2Image.create(bufferDevice(), { size: MIB });
    for (const wrong of [[1, 2], new Uint16Array(2), new DataView(new ArrayBuffer(2)), 'ab', null, undefined, {}]) {
      await expect(image.write(0, wrong as never)).rejects.toThrow(TypeError);
      await expect(image.read(0, wrong as never)).rejects.toThrow(TypeError);
    }
    await expect(image.write(0, 7 as never)).rejects.toThrow(TypeError);
    await expect(Qcow2Image.open([1] as never)).rejects.toThrow(TypeError);
    await image.close();
  });

  it('errors of another realm keep their messages', async () => {
    const source: ByteSource = {
      size: MIB,
      read() {
        throw new realm.Error('the disk is on fire');
      },
    };
    const device = { ...source, write: source.read, truncate: source.read, flush: source.read } as never as BlockDevice;
    await expect(Qcow2Image.create(device, { size: MIB, overwrite: true })).rejects.toThrow('the disk is on fire');
  });
});

describe('a seed that is a Buffer', () => {
  it('is copied: later changes of its memory have no effect', async () => {
    const bytes = noiseOf(3, 200_000);
    const seed = Buffer.from(bytes.subarray(0, 131_072));
    const cached = withCache(bufferSource(bytes), {}, seed);
    seed.fill(0xee);
    const into = new Uint8Array(131_072);
    await cached.read([{ at: 0, bytes: into }]);
    expectSame(into, bytes.subarray(0, into.length));
  });
});
