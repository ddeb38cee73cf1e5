/** Owns the tests of the engine that hold whatever holds the bytes, and in every runtime. */
import { deflateSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { type Extent, isQcow2Error, type Openable, type OpenOptions, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { noiseOf, softNoiseOf } from '../support/numbers.js';

const CLUSTER = 4096;

const data = (seed: number): Cell => ({ kind: 'data', bytes: noiseOf(seed, CLUSTER) });
const compressed = (seed: number): Cell => ({ kind: 'compressed', payload: deflateSync(softNoiseOf(seed, CLUSTER)) });

async function collect(image: Qcow2Image, range?: { start: number; length: number }): Promise<Extent[]> {
  const extents: Extent[] = [];
  for await (const extent of image.map(range)) extents.push(extent);
  return extents;
}

async function readAll(image: Qcow2Image): Promise<Uint8Array> {
  const bytes = new Uint8Array(image.size);
  await image.read(0, bytes);
  return bytes;
}

/** A disk of eight clusters: data, zero kept, zero, hole, two compressed ones, data, and a tail of 1000 bytes. */
const MIXED: ImagePlan = {
  size: 7 * CLUSTER + 1024,
  clusters: new Map<number, Cell>([
    [0, data(1)],
    [1, { kind: 'zero', allocated: true }],
    [2, { kind: 'zero', allocated: false }],
    [4, compressed(4)],
    [5, compressed(5)],
    [6, data(6)],
    [7, data(7)],
  ]),
};

function mixedBytes(): Uint8Array<ArrayBuffer> {
  const guest = new Uint8Array(MIXED.size!);
  guest.set(noiseOf(1, CLUSTER), 0);
  guest.set(softNoiseOf(4, CLUSTER), 4 * CLUSTER);
  guest.set(softNoiseOf(5, CLUSTER), 5 * CLUSTER);
  guest.set(noiseOf(6, CLUSTER), 6 * CLUSTER);
  guest.set(noiseOf(7, CLUSTER).subarray(0, 1024), 7 * CLUSTER);
  return guest;
}

/** Runs the suite over what `wrap` makes of an image's bytes. */
export function engineSuite(
  name: string,
  wrap: (bytes: Uint8Array<ArrayBuffer>) => Openable | Promise<Openable>,
): void {
  const open = async (plan: ImagePlan, options?: OpenOptions) =>
    Qcow2Image.open(await wrap(buildImage({ clusterBits: 12, ...plan }).bytes), options);

  describe(`engine over ${name}`, () => {
    it('reads every kind of cluster, whole and in unaligned parts', async () => {
      const image = await open(MIXED);
      const guest = mixedBytes();
      expectSame(await readAll(image), guest);
      for (const length of [1, 511, 4096, 9001]) {
        for (let offset = 3; offset + length <= image.size; offset += 1237) {
          const into = new Uint8Array(length).fill(0xee);
          await image.read(offset, into);
          expectSame(into, guest.subarray(offset, offset + length));
        }
      }
      await image.close();
    });

    it('serves many concurrent reads', async () => {
      const image = await open(MIXED);
      const guest = mixedBytes();
      const reads = Array.from({ length: 64 }, async (_, index) => {
        const offset = (index * 7919) % (image.size - 3000);
        const into = new Uint8Array(3000);
        await image.read(offset, into);
        expectSame(into, guest.subarray(offset, offset + 3000));
      });
      await Promise.all(reads);
    });

    it('reads into views of larger buffers, and does not change the rest', async () => {
      const image = await open(MIXED);
      const around = new Uint8Array(300).fill(0xaa);
      await image.read(CLUSTER - 50, around.subarray(100, 200));
      expect(around.subarray(0, 100).every((byte) => byte === 0xaa)).toBe(true);
      expect(around.subarray(200).every((byte) => byte === 0xaa)).toBe(true);
      expect(around.subarray(100, 200)).toEqual(mixedBytes().subarray(CLUSTER - 50, CLUSTER + 50));
    });

    it('reads into a new buffer', async () => {
      const image = await open(MIXED);
      const bytes = await image.read(CLUSTER - 50, 100);
      expect(bytes).toEqual(mixedBytes().slice(CLUSTER - 50, CLUSTER + 50));
      expect(bytes.buffer.byteLength).toBe(100);
      expect(await image.read(image.size, 0)).toEqual(new Uint8Array(0));
      await expect(image.read(image.size - 1, 2)).rejects.toMatchObject({ code: 'out-of-range' });
      await expect(image.read(0, 2 ** 52)).rejects.toMatchObject({ code: 'out-of-range' });
      for (const length of [-1, 1.5, Number.NaN]) await expect(image.read(0, length)).rejects.toThrow(RangeError);
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(image.read(0, 1, { signal })).rejects.toThrow('enough');
      await image.close();
      await expect(image.read(0, 1)).rejects.toMatchObject({ code: 'closed' });
    });

    it('fills a batch of buffers as one request', async () => {
      const image = await open(MIXED);
      const whole = mixedBytes();
      const places = [0, CLUSTER - 50, 4 * CLUSTER + 7, 4 * CLUSTER, image.size - 3];
      const batch = places.map((at) => ({ at, bytes: new Uint8Array(Math.min(100, image.size - at)).fill(0xee) }));
      await image.readBatch([...batch, { at: 5, bytes: new Uint8Array(0) }]);
      for (const { at, bytes } of batch) expect(bytes).toEqual(whole.slice(at, at + bytes.length));
      await image.readBatch([]);
      const past = { at: image.size, bytes: new Uint8Array(1) };
      const untouched = { at: 0, bytes: new Uint8Array(8).fill(0xee) };
      await expect(image.readBatch([untouched, past])).rejects.toMatchObject({ code: 'out-of-range' });
      expect(untouched.bytes).toEqual(new Uint8Array(8).fill(0xee));
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(image.readBatch([untouched], { signal })).rejects.toThrow('enough');
    });

    it('maps the disk as qemu-img does', async () => {
      const extents = await collect(await open(MIXED));
      const told = extents.map(({ start, length, present, zero, data, compressed }) => {
        return [start / CLUSTER, length / CLUSTER, present, zero, data, compressed];
      });
      expect(told).toEqual([
        [0, 1, true, false, true, false],
        [1, 1, true, true, false, false],
        [2, 1, true, true, false, false],
        [3, 1, false, true, false, false],
        [4, 2, true, false, true, true],
        [6, 1 + 1024 / CLUSTER, true, false, true, false],
      ]);
      expect(extents[1]!.offset).toBeTypeOf('number');
      expect('offset' in extents[2]!).toBe(false);
      expect('offset' in extents[4]!).toBe(false);
    });

    it('maps a part', async () => {
      const extents = await collect(await open(MIXED), { start: 3 * CLUSTER + 10, length: CLUSTER });
      expect(extents.map(({ start, length }) => [start, length])).toEqual([
        [3 * CLUSTER + 10, CLUSTER - 10],
        [4 * CLUSTER, 10],
      ]);
    });

    it('finds data and holes', async () => {
      const image = await open(MIXED);
      expect(await image.seekData(0)).toBe(0);
      expect(await image.seekHole(0)).toBe(CLUSTER);
      expect(await image.seekData(CLUSTER + 1)).toBe(4 * CLUSTER);
      expect(await image.seekHole(2 * CLUSTER + 17)).toBe(2 * CLUSTER + 17);
      expect(await image.seekHole(4 * CLUSTER)).toBeUndefined();
      expect(await image.seekData(image.size)).toBeUndefined();
    });

    it('streams the disk, whole and in part, and stops when cancelled', async () => {
      const image = await open(MIXED);
      const guest = mixedBytes();
      const whole = new Uint8Array(await new Response(image.readable() as BodyInit).arrayBuffer());
      expectSame(whole, guest);
      const part = await new Response(image.readable({ start: 1000, length: 2 * CLUSTER }) as BodyInit).arrayBuffer();
      expectSame(new Uint8Array(part), guest.subarray(1000, 1000 + 2 * CLUSTER));
      const abort = new AbortController();
      const reader = image.readable(undefined, { signal: abort.signal }).getReader();
      abort.abort(new Error('enough'));
      await expect(reader.read()).rejects.toThrow('enough');
      expect(await new Response(image.readable({ start: 5, length: 0 }) as BodyInit).arrayBuffer()).toHaveProperty(
        'byteLength',
        0,
      );
    });

    it('streams into buffers of the reader, of any size', async () => {
      const image = await open(MIXED);
      const guest = mixedBytes();
      const reader = image.readable().getReader({ mode: 'byob' });
      const got = new Uint8Array(guest.length);
      let at = 0;
      for (let size = 1000; ; size = (size * 7) % 9973) {
        const { done, value } = await reader.read(new Uint8Array(size + 1));
        if (done) break;
        got.set(value, at);
        at += value.length;
      }
      expect(at).toBe(guest.length);
      expectSame(got, guest);
    });

    it('streams more than its read-ahead, and ends for a reader that cancels', async () => {
      const clusters = new Map(Array.from({ length: 60 }, (_, index) => [index * 40, data(index)] as const));
      const image = await open({ size: 10 * 1024 * 1024, clusters });
      const whole = new Uint8Array(await new Response(image.readable() as BodyInit).arrayBuffer());
      for (let index = 0; index < 60; index++) {
        const at = index * 40 * CLUSTER;
        expectSame(whole.subarray(at, at + CLUSTER), noiseOf(index, CLUSTER));
      }
      const reader = image.readable().getReader();
      await reader.read();
      await reader.read();
      await reader.cancel();
      await image.close();
    });

    it('hashes the guest', async () => {
      const image = await open(MIXED);
      const guest = mixedBytes();
      for (const algorithm of ['SHA-1', 'SHA-256'] as const) {
        const expected = new Uint8Array(await crypto.subtle.digest(algorithm, guest));
        expect(await image.digest(algorithm), algorithm).toEqual(expected);
      }
    });

    it('reports progress that rises to the end', async () => {
      const image = await open(MIXED);
      const heard: number[] = [];
      const onProgress = ({ done, total }: { done: number; total: number }) => {
        expect(total).toBe(image.size);
        heard.push(done);
      };
      for await (const _ of image.map(undefined, { onProgress }));
      expect(heard.at(-1)).toBe(image.size);
      expect([...heard].sort((a, b) => a - b)).toEqual(heard);
    });

    it('reads through a chain whose bases are shorter and longer', async () => {
      const base = buildImage({
        size: 2 * CLUSTER,
        clusters: new Map([
          [0, data(10)],
          [1, data(11)],
        ]),
      });
      const middle = buildImage({
        clusterBits: 12,
        size: 6 * CLUSTER,
        backingName: 'base',
        clusters: new Map([
          [1, data(21)],
          [4, data(24)],
        ]),
      });
      const asked: unknown[] = [];
      const image = await open(
        { size: 4 * CLUSTER, backingName: 'dir/middle', clusters: new Map([[3, data(33)]]) },
        {
          resolve: async ({ kind, name, depth, parent, writable }) => {
            asked.push([kind, name, depth, parent?.name, writable]);
            return wrap(name === 'base' ? base.bytes : middle.bytes);
          },
        },
      );
      expect(asked).toEqual([
        ['backing', 'dir/middle', 1, undefined, false],
        ['backing', 'base', 2, 'dir/middle', false],
      ]);
      const expected = new Uint8Array(4 * CLUSTER);
      expected.set(noiseOf(10, CLUSTER), 0);
      expected.set(noiseOf(21, CLUSTER), CLUSTER);
      expected.set(noiseOf(33, CLUSTER), 3 * CLUSTER);
      expectSame(await readAll(image), expected);
      expect((await collect(image)).map(({ depth, zero }) => [depth, zero])).toEqual([
        [2, false],
        [1, false],
        [1, true],
        [0, false],
      ]);
      expect(image.info.chain.map(({ name, format, missing }) => [name, format, missing])).toEqual([
        [undefined, 'qcow2', false],
        ['dir/middle', 'qcow2', false],
        ['base', 'qcow2', false],
      ]);
    });

    it('reads a raw base whose length is not a multiple of the sector size', async () => {
      const raw = noiseOf(3, 9001);
      const image = await open(
        { size: 3 * CLUSTER, backingName: 'disk.raw' },
        { resolve: async () => ({ source: await wrap(raw), format: 'raw' }) },
      );
      const expected = new Uint8Array(3 * CLUSTER);
      expected.set(raw);
      expectSame(await readAll(image), expected);
      expect(await collect(image)).toEqual([
        { start: 0, length: 9001, depth: 1, present: true, zero: false, data: true, compressed: false, offset: 0 },
        {
          start: 9001,
          length: 3 * CLUSTER - 9001,
          depth: 0,
          present: false,
          zero: true,
          data: false,
          compressed: false,
        },
      ]);
    });

    it('opens without the referenced files, and names the one that a read needs', async () => {
      const plan: ImagePlan = { size: 2 * CLUSTER, backingName: 'gone.qcow2', clusters: new Map([[0, data(1)]]) };
      for (const options of [undefined, { resolve: async () => undefined }]) {
        const image = await open(plan, options);
        expect(image.info.backingFile).toBe('gone.qcow2');
        expect(image.info.chain.at(-1)).toMatchObject({ name: 'gone.qcow2', missing: true });
        const own = new Uint8Array(CLUSTER);
        await image.read(0, own);
        expectSame(own, noiseOf(1, CLUSTER));
        expect((await collect(image)).map(({ zero, data, present }) => [zero, data, present])).toEqual([
          [false, true, true],
          [false, false, false],
        ]);
        const refusal = await image.read(CLUSTER, own).catch((error: unknown) => error);
        expect(isQcow2Error(refusal, 'reference-refused')).toBe(true);
        expect(refusal).toMatchObject({ details: { name: 'gone.qcow2' } });
      }
    });

    it('refuses a damaged stream, and one that contains more or less than a cluster', async () => {
      const streams = [
        deflateSync(softNoiseOf(1, CLUSTER - 1)),
        deflateSync(softNoiseOf(1, CLUSTER + 1)),
        new Uint8Array(100).fill(7),
      ];
      for (const payload of streams) {
        const image = await open({ clusters: new Map<number, Cell>([[0, { kind: 'compressed', payload }]]) });
        await expect(image.read(0, new Uint8Array(10))).rejects.toMatchObject({ name: 'Qcow2Error', code: 'corrupt' });
        await expect(image.read(0, new Uint8Array(CLUSTER))).rejects.toMatchObject({ code: 'corrupt' });
      }
    });

    it('refuses ranges past the end of the disk, and invalid arguments', async () => {
      const image = await open(MIXED);
      const into = new Uint8Array(10);
      await expect(image.read(image.size - 9, into)).rejects.toMatchObject({ code: 'out-of-range' });
      await expect(image.read(-1, into)).rejects.toThrow(RangeError);
      await expect(image.read(0.5, into)).rejects.toThrow(RangeError);
      await expect(image.read(Number.NaN, into)).rejects.toThrow(RangeError);
      await expect(image.read(0, [] as unknown as Uint8Array)).rejects.toThrow(TypeError);
      await expect(image.seekData(image.size + 1)).rejects.toMatchObject({ code: 'out-of-range' });
      await expect(collect(image, { start: 0, length: image.size + 1 })).rejects.toMatchObject({
        code: 'out-of-range',
      });
      await image.read(image.size, new Uint8Array(0));
    });

    it('is closed once, and stays closed', async () => {
      const image = await open(MIXED);
      const stream = image.readable();
      await image.close();
      await image.close();
      await expect(image.read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'closed' });
      await expect(collect(image)).rejects.toMatchObject({ code: 'closed' });
      await expect(image.seekHole(0)).rejects.toMatchObject({ code: 'closed' });
      expect(() => image.readable()).toThrow(expect.objectContaining({ code: 'closed' }));
      await expect(stream.getReader().read()).rejects.toMatchObject({ code: 'closed' });
    });

    it('rethrows the reason of a signal', async () => {
      const reason = { mine: true };
      const signal = AbortSignal.abort(reason);
      await expect(open(MIXED, { signal })).rejects.toBe(reason);
      const image = await open(MIXED);
      await expect(image.read(0, new Uint8Array(1), { signal })).rejects.toBe(reason);
      const mapping = (async () => {
        for await (const _ of image.map(undefined, { signal }));
      })();
      await expect(mapping).rejects.toBe(reason);
    });

    it('fills shared memory', async () => {
      const image = await open(MIXED);
      const into = new Uint8Array(new SharedArrayBuffer(image.size));
      await image.read(0, into);
      expectSame(into, mixedBytes());
    });

    it('supports `await using` where the platform has it', async () => {
      const image = await open(MIXED);
      expect(Symbol.asyncDispose in image).toBe(Symbol.asyncDispose !== undefined);
      await image[Symbol.asyncDispose]?.();
    });
  });
}
