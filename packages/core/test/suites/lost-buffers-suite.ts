/**
 * Owns the tests of buffers whose memory is taken away under a request: grown WebAssembly memory, transfers, resized
 * buffers.
 */
import { describe, expect, it } from 'vitest';
import {
  asyncBufferSource,
  type ByteSource,
  blobSource,
  bufferDevice,
  bufferSource,
  httpSource,
  Qcow2Image,
  withCache,
  withCoalescing,
} from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { host } from '../support/http/hosted.js';
import { buildImage, type Cell } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { SlowDevice, slowSource } from '../support/slow-device.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 64 * KIB;

/** A buffer, and what takes its memory away. */
interface Doomed {
  readonly bytes: Uint8Array;
  take(): void;
}

interface Resizable extends ArrayBuffer {
  resize(length: number): void;
}
const ResizableBuffer = ArrayBuffer as unknown as { new (length: number, o: { maxByteLength: number }): Resizable };

const WAYS: Record<string, (length: number) => Doomed> = {
  'WebAssembly memory that grows'(length) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(length / PAGE) + 1 });
    return { bytes: new Uint8Array(memory.buffer, 4096, length), take: () => memory.grow(1) };
  },
  'a buffer that is transferred'(length) {
    const bytes = new Uint8Array(length);
    return { bytes, take: () => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }) };
  },
  'a resizable buffer that shrinks'(length) {
    const buffer = new ResizableBuffer(length + 100, { maxByteLength: 2 * length + 200 });
    return { bytes: new Uint8Array(buffer, 100, length), take: () => buffer.resize(100 + length / 2) };
  },
  'a resizable buffer that shrinks under a view of its length'(length) {
    const buffer = new ResizableBuffer(length, { maxByteLength: 2 * length });
    return { bytes: new Uint8Array(buffer), take: () => buffer.resize(length / 2) };
  },
};
const ways = Object.entries(WAYS);

const content = noiseOf(5, 3 * MIB);

/** Every kind of source that makes its caller wait. */
async function sources(): Promise<Record<string, ByteSource>> {
  return {
    'a Blob': blobSource(new Blob([content])),
    'a web server': await httpSource((await host(content, { etag: '"1"' })).url),
    'an AsyncBuffer': asyncBufferSource(content.buffer),
    'a cache': withCache(asyncBufferSource(content.buffer)),
    'a joiner of requests': withCoalescing(asyncBufferSource(content.buffer), { gap: 16 * KIB, longest: MIB }),
    'a cache over a joiner': withCache(withCoalescing(asyncBufferSource(content.buffer))),
  };
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
  it.each(ways)(
    'of %s: the read is refused with a TypeError that names it, and the others are filled',
    async (_, make) => {
      for (const source of Object.values(await sources())) {
        for (const length of LENGTHS) {
          const doomed = make(length);
          const first = new Uint8Array(length);
          const last = new Uint8Array(4 * KIB);
          const batch = [
            { at: AT, bytes: first },
            { at: AT + length, bytes: doomed.bytes },
            { at: AT + 2 * length, bytes: last },
          ];
          const reading = outcomeOf(() => source.read(batch));
          doomed.take();
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

  it.each(ways.slice(0, 3))('of %s, before the request: nothing is started', async (_, make) => {
    const all = { ...(await sources()), 'a buffer': bufferSource(content), 'a device': bufferDevice(content) };
    for (const source of Object.values(all)) {
      const doomed = make(8 * KIB);
      doomed.take();
      const other = new Uint8Array(8 * KIB).fill(0xee);
      const batch = [
        { at: 0, bytes: other },
        { at: 9 * KIB, bytes: doomed.bytes },
      ];
      await expectLost(() => source.read(batch), 'Buffer 1');
      expect(other.every((byte) => byte === 0xee)).toBe(true);
    }
  });

  it('a buffer that grows gets what was asked for, and no more', async () => {
    for (const source of Object.values(await sources())) {
      const buffer = new ResizableBuffer(8 * KIB, { maxByteLength: 16 * KIB });
      const bytes = new Uint8Array(buffer);
      const reading = source.read([{ at: 500, bytes }]);
      buffer.resize(16 * KIB);
      await reading;
      expectSame(bytes.subarray(0, 8 * KIB), content.subarray(500, 500 + 8 * KIB));
      expect(bytes.subarray(8 * KIB).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('a source over memory that is taken away reads neither zeros nor nothing', async () => {
    for (const [, make] of ways) {
      const doomed = make(8 * KIB);
      const source = bufferSource(doomed.bytes);
      doomed.take();
      const read = () => source.read([{ at: 0, bytes: new Uint8Array(10) }]);
      expect(await outcomeOf(read)).toMatchObject({ name: 'Qcow2Error', code: 'changed' });
    }
  });
}

const filled = (index: number): Cell => ({ kind: 'data', bytes: noiseOf(index, PAGE) });

async function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Images of every way that bytes can come: data, compressed, from behind; read over a Blob with cold tables, and a slow
 * device.
 */
async function images(): Promise<Qcow2Image[]> {
  const soft = noiseOf(3, PAGE).map((byte) => byte & 3);
  const compressed: Cell = { kind: 'compressed', payload: await deflated(soft) };
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
  it.each(ways)('of %s, under a read of an image, its tables cold or not', async (_, make) => {
    for (const image of await images()) {
      for (const [offset, length] of [
        [0, 2 * PAGE],
        [2 * PAGE + 100, 200],
        [0, PAGE],
      ] as const) {
        const doomed = make(length);
        const reading = outcomeOf(() => image.read(offset, doomed.bytes));
        doomed.take();
        await expectLost(async () => {
          const error = await reading;
          if (error !== undefined) throw error;
        }, 'The buffer');
      }
      await image.close();
    }
  });

  it.each(ways)(
    'of %s, under a write: a TypeError, at whichever call of the device, and the image goes on',
    async (_, make) => {
      const length = 5 * MIB + 1000;
      for (const calls of [0, 1, 2, 3, 5, 8]) {
        const memory = bufferDevice();
        await (await Qcow2Image.create(memory, { size: 16 * MIB })).close();
        const doomed = make(length);
        let left = calls;
        const device = new SlowDevice(memory, () => {
          if (left-- === 0) doomed.take();
          return 2;
        });
        // The first calls are those of opening.
        left = 1000;
        const image = await Qcow2Image.open(device, { mode: 'readwrite' });
        await image.write(MIB / 2, noiseOf(1, 100));
        left = calls;
        const error = await outcomeOf(() => image.write(100, doomed.bytes));
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

  it.each(ways.slice(0, 3))('of %s, before a read or a write: a TypeError', async (_, make) => {
    const image = await Qcow2Image.create(bufferDevice(), { size: MIB });
    const doomed = make(PAGE);
    doomed.take();
    await expect(image.write(0, doomed.bytes)).rejects.toThrow(TypeError);
    await expect(image.read(0, doomed.bytes)).rejects.toThrow(TypeError);
    expect(() => image.writeSync(0, doomed.bytes)).toThrow(TypeError);
    expect(() => image.readSync(0, doomed.bytes)).toThrow(TypeError);
    const writer = image.writable().getWriter();
    await expect(writer.write(doomed.bytes)).rejects.toThrow(TypeError);
    await image.close();
  });

  it.each(ways)('of %s, while the write waits for its turn', async (_, make) => {
    const image = await Qcow2Image.create(new SlowDevice(bufferDevice(), () => 3), { size: MIB });
    const first = image.write(0, noiseOf(1, PAGE));
    const doomed = make(1000);
    const second = image.write(0, doomed.bytes);
    const expecting = expect(second).rejects.toThrow(TypeError);
    doomed.take();
    await first;
    await expecting;
    const into = new Uint8Array(PAGE);
    await image.read(0, into);
    expectSame(into, noiseOf(1, PAGE));
    await image.close();
  });

  it.each(ways)('of %s, under a chunk of a writable stream', async (_, make) => {
    const image = await Qcow2Image.create(new SlowDevice(bufferDevice(), () => 2), { size: 16 * MIB });
    const writer = image.writable().getWriter();
    const doomed = make(7 * MIB);
    // Once the stream has started, the chunk is written in the call.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const writing = writer.write(doomed.bytes);
    writer.closed.catch(() => {});
    const expecting = expect(writing).rejects.toThrow(TypeError);
    doomed.take();
    await expecting;
    await image.close();
  });
}

/** Runs the suite in the current runtime. */
export function lostBuffersSuite(): void {
  describe('memory that is taken away under a request', () => {
    sourcesCases();
    imageCases();
  });
}
