/**
 * Owns the tests of buffers whose memory is taken away under a request: grown WebAssembly memory, transfers, resized
 * buffers.
 */
import { deflateSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { type ByteSource, bufferDevice, bufferSource, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell } from '../support/image-builder.js';
import { resizable, WAYS_TO_LOSE } from '../support/losable-buffers.js';
import { noiseOf, softNoiseOf } from '../support/numbers.js';
import { SlowDevice, slowSource } from '../support/slow-device.js';
import { WAITING_SOURCES } from '../support/waiting-sources.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 64 * KIB;

const content = noiseOf(5, 3 * MIB);

/** Every kind of source that makes its caller wait. */
function sources(): Promise<ByteSource[]> {
  return Promise.all(Object.values(WAITING_SOURCES).map((make) => make(content)));
}

/** What a read came to, also when it threw at once. */
async function outcomeOf(read: () => unknown): Promise<unknown> {
  try {
    await read();
    return undefined;
  } catch (error) {
    return error;
  }
}

async function expectLost(read: () => unknown, which: string): Promise<void> {
  const error = await outcomeOf(read);
  expect(error).toBeInstanceOf(TypeError);
  expect((error as Error).message).toContain(which);
}

/** Past what the first request to a server brings. */
const AT = 300 * KIB;
/** Lengths of the buffers of a batch: small ones, and ones that go past every cache. */
const LENGTHS = [8 * KIB, 1200 * KIB];

function sourcesCases(): void {
  it.each(WAYS_TO_LOSE)(
    'of %s: the read is refused with a TypeError that names it, and the others are filled',
    async (_, make) => {
      for (const source of await sources()) {
        for (const length of LENGTHS) {
          const losable = make(length);
          const first = new Uint8Array(length);
          const last = new Uint8Array(4 * KIB);
          const batch = [
            { at: AT, bytes: first },
            { at: AT + length, bytes: losable.bytes },
            { at: AT + 2 * length, bytes: last },
          ];
          const reading = outcomeOf(() => source.read(batch));
          losable.detach();
          await expectLost(async () => {
            const error = await reading;
            if (error !== undefined) throw error;
          }, 'Buffer 1');
          expectSame(first, content.subarray(AT, AT + length));
          expectSame(last, content.subarray(AT + 2 * length, AT + 2 * length + last.length));
        }
      }
    },
  );

  it.each(WAYS_TO_LOSE.slice(0, 3))('of %s, before the request: nothing is started', async (_, make) => {
    for (const source of [...(await sources()), bufferSource(content), bufferDevice(content)]) {
      const losable = make(8 * KIB);
      losable.detach();
      const other = new Uint8Array(8 * KIB).fill(0xee);
      const batch = [
        { at: 0, bytes: other },
        { at: 9 * KIB, bytes: losable.bytes },
      ];
      await expectLost(() => source.read(batch), 'Buffer 1');
      expect(other.every((byte) => byte === 0xee)).toBe(true);
    }
  });

  it('a buffer that grows is filled up to its length at the call', async () => {
    for (const source of await sources()) {
      const buffer = resizable(8 * KIB, 16 * KIB);
      const bytes = new Uint8Array(buffer);
      const reading = source.read([{ at: 500, bytes }]);
      buffer.resize(16 * KIB);
      await reading;
      expectSame(bytes.subarray(0, 8 * KIB), content.subarray(500, 500 + 8 * KIB));
      expect(bytes.subarray(8 * KIB).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('a source over detached memory rejects', async () => {
    for (const [, make] of WAYS_TO_LOSE) {
      const losable = make(8 * KIB);
      const source = bufferSource(losable.bytes);
      losable.detach();
      const read = () => source.read([{ at: 0, bytes: new Uint8Array(10) }]);
      expect(await outcomeOf(read)).toMatchObject({ name: 'Qcow2Error', code: 'changed' });
    }
  });
}

const filled = (index: number): Cell => ({ kind: 'data', bytes: noiseOf(index, PAGE) });

/**
 * Images of every way that bytes can come: data, compressed, from behind; read over a Blob with cold tables, and a slow
 * device.
 */
async function images(): Promise<Qcow2Image[]> {
  const soft = softNoiseOf(3, PAGE);
  const compressed: Cell = { kind: 'compressed', payload: deflateSync(soft) };
  const own = buildImage({ size: MIB, clusters: new Map([0, 1, 2].map((index) => [index, filled(index)])) });
  const packed = buildImage({ size: MIB, clusters: new Map([0, 1, 2].map((index) => [index, compressed])) });
  const over = buildImage({ size: MIB, backingName: 'base.raw', clusters: new Map([[1, filled(1)]]) });
  const resolve = async () => ({ source: slowSource(noiseOf(9, MIB)), format: 'raw' as const });
  return [
    await Qcow2Image.open(new Blob([own.bytes])),
    await Qcow2Image.open(new Blob([packed.bytes])),
    await Qcow2Image.open(over.bytes, { resolve }),
    await Qcow2Image.open(new SlowDevice(bufferDevice(own.bytes), () => 2), { mode: 'readwrite' }),
  ];
}

function imageCases(): void {
  it.each(WAYS_TO_LOSE)('of %s, during a read of an image, with cached tables or not', async (_, make) => {
    for (const image of await images()) {
      for (const [offset, length] of [
        [0, 2 * PAGE],
        [2 * PAGE + 100, 200],
        [0, PAGE],
      ] as const) {
        const losable = make(length);
        const reading = outcomeOf(() => image.read(offset, losable.bytes));
        losable.detach();
        await expectLost(async () => {
          const error = await reading;
          if (error !== undefined) throw error;
        }, 'The buffer');
      }
      await image.close();
    }
  });

  it.each(WAYS_TO_LOSE)(
    'of %s, during a write: a TypeError, at any call of the device, and the image stays usable',
    async (_, make) => {
      const length = 5 * MIB + 1000;
      for (const calls of [0, 1, 2, 3, 5, 8]) {
        const memory = bufferDevice();
        await (await Qcow2Image.create(memory, { size: 16 * MIB })).close();
        const losable = make(length);
        let left = calls;
        const device = new SlowDevice(memory, () => {
          if (left-- === 0) losable.detach();
          return 2;
        });
        // The first calls are those of opening.
        left = 1000;
        const image = await Qcow2Image.open(device, { mode: 'readwrite' });
        await image.write(MIB / 2, noiseOf(1, 100));
        left = calls;
        const error = await outcomeOf(() => image.write(100, losable.bytes));
        if (left < 0) expect(error).toBeInstanceOf(TypeError);
        else expect(error).toBeUndefined();
        await image.write(12 * MIB, noiseOf(2, PAGE));
        await image.flush();
        await image.close();
        const again = await Qcow2Image.open(memory);
        expect(await again.check()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
        const into = new Uint8Array(PAGE);
        await again.read(12 * MIB, into);
        expectSame(into, noiseOf(2, PAGE));
        await again.close();
      }
    },
  );

  it.each(WAYS_TO_LOSE.slice(0, 3))('of %s, before a read or a write: a TypeError', async (_, make) => {
    const image = await Qcow2Image.create(bufferDevice(), { size: MIB });
    const losable = make(PAGE);
    losable.detach();
    await expect(image.write(0, losable.bytes)).rejects.toThrow(TypeError);
    await expect(image.read(0, losable.bytes)).rejects.toThrow(TypeError);
    expect(() => image.writeSync(0, losable.bytes)).toThrow(TypeError);
    expect(() => image.readSync(0, losable.bytes)).toThrow(TypeError);
    const writer = image.writable().getWriter();
    await expect(writer.write(losable.bytes)).rejects.toThrow(TypeError);
    await image.close();
  });

  it.each(WAYS_TO_LOSE)('of %s, while the write waits for the lock', async (_, make) => {
    const image = await Qcow2Image.create(new SlowDevice(bufferDevice(), () => 3), { size: MIB });
    const first = image.write(0, noiseOf(1, PAGE));
    const losable = make(1000);
    const second = image.write(0, losable.bytes);
    const expecting = expect(second).rejects.toThrow(TypeError);
    losable.detach();
    await first;
    await expecting;
    const into = new Uint8Array(PAGE);
    await image.read(0, into);
    expectSame(into, noiseOf(1, PAGE));
    await image.close();
  });

  it.each(WAYS_TO_LOSE)('of %s, during a chunk of a writable stream', async (_, make) => {
    const image = await Qcow2Image.create(new SlowDevice(bufferDevice(), () => 2), { size: 16 * MIB });
    const writer = image.writable().getWriter();
    const losable = make(7 * MIB);
    // Once the stream has started, the chunk is written in the call.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const writing = writer.write(losable.bytes);
    writer.closed.catch(() => {});
    const expecting = expect(writing).rejects.toThrow(TypeError);
    losable.detach();
    await expecting;
    await image.close();
  });
}

/** Runs the suite in the current runtime. */
export function lostBuffersSuite(): void {
  describe('memory that is detached or shrunk during a request', () => {
    sourcesCases();
    imageCases();
  });
}
