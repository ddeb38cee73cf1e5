/** Owns the tests of the stream that takes guest bytes, which hold in every runtime. */
import { describe, expect, it } from 'vitest';
import { type BlockDevice, bufferDevice, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf, numbers } from '../support/numbers.js';

const KIB = 1024;
const MIB = 1024 * KIB;

async function fresh(size: number): Promise<Qcow2Image> {
  return Qcow2Image.create(bufferDevice(), { size });
}

async function readAll(image: Qcow2Image): Promise<Uint8Array> {
  const disk = new Uint8Array(image.size);
  await image.read(0, disk);
  return disk;
}

/** A stream of `bytes` in chunks of all sizes, empty ones too. */
function chunked(bytes: Uint8Array<ArrayBuffer>, seed: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const next = numbers(seed);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const length = [0, 1, 511, 4096, 100_000, 2 * MIB, 5 * MIB][next() % 7]!;
      controller.enqueue(bytes.subarray(at, at + length));
      at += length;
      if (at >= bytes.length) controller.close();
    },
  });
}

/** Runs the suite. */
export function writableSuite(): void {
  describe('a batch of writes', () => {
    it('writes every transfer, the later over the earlier', async () => {
      const image = await fresh(4 * MIB);
      const expected = new Uint8Array(4 * MIB);
      const parts = [
        { at: 100, length: 200_000 },
        { at: 150_000, length: 70_000 },
        { at: 3 * MIB, length: 5 },
        { at: 4 * MIB, length: 0 },
        { at: 99, length: 2 },
      ].map(({ at, length }, index) => ({ at, bytes: noiseOf(index + 1, length) }));
      for (const { at, bytes } of parts) expected.set(bytes, at);
      await image.writeBatch(parts);
      expectSame(await readAll(image), expected);
      await image.writeBatch([]);
      await image.close();
    });

    it('writes nothing if a transfer is past the end, or is not a Uint8Array', async () => {
      const image = await fresh(MIB);
      const inside = { at: 0, bytes: noiseOf(1, 512) };
      const past = { at: MIB - 1, bytes: new Uint8Array(2) };
      await expect(image.writeBatch([inside, past])).rejects.toMatchObject({ code: 'out-of-range' });
      await expect(image.writeBatch([inside, { at: 0, bytes: [1] as never }])).rejects.toThrow(TypeError);
      expectSame(await readAll(image), new Uint8Array(MIB));
      await image.close();
    });
  });

  describe('the writable stream', () => {
    it.each([0, 1, 65_536, 3 * MIB - 1])(
      'accepts chunks of any size from %i on, and flushes when it is closed',
      async (start) => {
        const bytes = noiseOf(start, 9 * MIB + 777);
        const image = await fresh(16 * MIB);
        await chunked(bytes, 3).pipeTo(image.writable({ start }));
        const flushed = await image.stats();
        expect(flushed.deviceFlushes).toBeGreaterThan(0);
        await image.flush();
        expect((await image.stats()).deviceFlushes).toBe(flushed.deviceFlushes);
        const expected = new Uint8Array(16 * MIB);
        expected.set(bytes, start);
        expectSame(await readAll(image), expected);
        await image.close();
      },
    );

    it('writes whole clusters, in large pieces: few device calls for many chunks', async () => {
      const image = await fresh(16 * MIB);
      const before = await image.stats();
      const writer = image.writable().getWriter();
      for (let at = 0; at < 8 * MIB; at += 4 * KIB) await writer.write(noiseOf(at, 4 * KIB));
      expect((await image.stats()).deviceWrites - before.deviceWrites).toBe(4);
      expect((await image.stats()).deviceBytesWritten - before.deviceBytesWritten).toBe(8 * MIB);
      await writer.close();
      await image.close();
    });

    it('copies an accepted chunk, so that the caller may change the buffer', async () => {
      const image = await fresh(MIB);
      const writer = image.writable().getWriter();
      const chunk = noiseOf(1, 1000);
      await writer.write(chunk);
      chunk.fill(0);
      await writer.close();
      expectSame((await readAll(image)).subarray(0, 1000), noiseOf(1, 1000));
      await image.close();
    });

    it('applies backpressure while it writes', async () => {
      const device = bufferDevice();
      const image = await Qcow2Image.create(device, { size: 16 * MIB });
      await image.close();
      let go = () => {};
      const gate = new Promise<void>((resolve) => {
        go = resolve;
      });
      let written = 0;
      const gated: BlockDevice = {
        get size() {
          return device.size;
        },
        read: (transfers) => device.read(transfers),
        async write(transfers) {
          if (transfers.length === 0) return;
          written++;
          await gate;
          await device.write(transfers);
        },
        truncate: async (length) => device.truncate(length),
        flush: async () => device.flush(),
      };
      const slow = await Qcow2Image.open(gated, { mode: 'readwrite' });
      const writer = slow.writable().getWriter();
      const first = writer.write(noiseOf(1, 2 * MIB));
      const second = writer.write(noiseOf(2, 2 * MIB));
      expect(writer.desiredSize).toBeLessThanOrEqual(0);
      await Promise.race([writer.ready, new Promise((resolve) => setTimeout(resolve, 50))]);
      expect(written).toBe(1);
      go();
      await Promise.all([first, second]);
      await writer.ready;
      expect(writer.desiredSize).toBeGreaterThan(0);
      await writer.close();
      await slow.close();
    });

    it('errors past the end of the disk, and for an invalid chunk; earlier chunks are written', async () => {
      const image = await fresh(MIB);
      const writer = image.writable({ start: MIB - 1000 }).getWriter();
      await writer.write(noiseOf(1, 1000));
      await writer.write(noiseOf(2, 1)).catch(() => {});
      await expect(writer.close()).rejects.toMatchObject({ code: 'out-of-range' });
      await expect(writer.closed).rejects.toMatchObject({ code: 'out-of-range' });
      const other = image.writable().getWriter();
      await expect(other.write('text' as never)).rejects.toThrow(TypeError);
      await expect(other.closed).rejects.toThrow(TypeError);
      await image.close();
      expect(() => image.writable()).toThrow(expect.objectContaining({ code: 'closed' }));
    });

    it('accepts a gzip stream while it is decompressed', async () => {
      const image = await fresh(4 * MIB);
      const bytes = noiseOf(4, 3 * MIB);
      const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
      await packed.pipeThrough(new DecompressionStream('gzip')).pipeTo(image.writable());
      expectSame((await readAll(image)).subarray(0, 3 * MIB), bytes);
      await image.close();
    });
  });
}
