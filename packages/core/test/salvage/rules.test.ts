/** What ends an operation all the same, how often a bad place is requested, and how long hostile images take. */
import { describe, expect, test } from 'vitest';
import { bufferDevice, type LostRange, Qcow2Error, Qcow2Image } from '../../src/index.js';
import { extendedImage, oldImage, overlayImage, plainImage, richImage } from '../hostile/bases.js';
import { damage } from '../hostile/random-damage.js';
import { repeatingImage } from '../hostile/repeating-image.js';
import { structuresOf } from '../hostile/structures.js';
import { SourceWithBadPlaces } from '../support/bad-places.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, filled } from '../support/image-builder.js';
import { map, places, scan, stream } from './scan.js';

const CLUSTER = 4096;
const UNALIGNED = 512n;

/** An image with a damaged entry of cluster 2. */
function damagedImage(): BuiltImage {
  const image = plainImage();
  const at = image.entryAt(2);
  put(image.bytes, at, 8, get(image.bytes, at, 8) | UNALIGNED);
  return image;
}

async function drain(readable: ReadableStream<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const chunk of readable) length += chunk.length;
  return length;
}

describe('errors that are not of damage end the stream', () => {
  test('a backing file that was not provided', async () => {
    const image = await Qcow2Image.open(overlayImage().bytes);
    await expect(drain(image.readable(undefined, { salvage: true }))).rejects.toMatchObject({
      code: 'reference-refused',
    });
    // As without salvage, the map says which ranges that file has.
    const { extents } = await map(image);
    expect(extents.map(({ data, zero, unreadable }) => ({ data, zero, unreadable }))).toEqual([
      { data: true, zero: false, unreadable: undefined },
      { data: false, zero: false, unreadable: undefined },
    ]);
  });

  test('an encrypted disk, also where its entries are damaged', async () => {
    const { bytes } = damagedImage();
    put(bytes, 32, 4, 1); // AES
    const image = await Qcow2Image.open(bytes);
    await expect(drain(image.readable(undefined, { salvage: true }))).rejects.toMatchObject({ code: 'unsupported' });
  });

  test.each(['changed', 'not-found', 'failed'] as const)('a source that throws `%s`', async (code) => {
    const { bytes } = damagedImage();
    let fails = false;
    const source = new SourceWithBadPlaces(bytes, [], false);
    const image = await Qcow2Image.open({
      size: source.size,
      read(transfers) {
        if (fails) throw new Qcow2Error(code, 'This is not damage.');
        source.read(transfers);
      },
    });
    fails = true;
    await expect(drain(image.readable(undefined, { salvage: true }))).rejects.toMatchObject({ code });
  });

  test('an abort, with its reason, though that looks like damage', async () => {
    const controller = new AbortController();
    const reason = new Qcow2Error('corrupt', 'Enough.');
    const options = { salvage: true, signal: controller.signal, onLost: () => controller.abort(reason) };
    const large = buildImage({ size: 2 ** 23, clusters: new Map<number, Cell>([[0, { kind: 'entry', entry: 512n }]]) });
    const image = await Qcow2Image.open(large.bytes);
    await expect(drain(image.readable(undefined, options))).rejects.toBe(reason);
  });

  test('closing the image', async () => {
    const image = await Qcow2Image.open(repeatingImage());
    const reader = image.readable(undefined, { salvage: true }).getReader();
    await reader.read();
    await image.close();
    const rest = (async () => {
      while (!(await reader.read()).done);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'closed' });
  });

  test('`onLost` that throws', async () => {
    const mine = new Error('mine');
    const onLost = () => {
      throw mine;
    };
    const image = await Qcow2Image.open(damagedImage().bytes);
    await expect(drain(image.readable(undefined, { salvage: true, onLost }))).rejects.toBe(mine);
    await expect(image.map(undefined, { salvage: true, onLost }).next()).rejects.toBe(mine);
  });
});

test('a part of a disk: only what is lost of it is reported', async () => {
  const image = await Qcow2Image.open(damagedImage().bytes);
  const lost: LostRange[] = [];
  const range = { start: 2 * CLUSTER + 100, length: 5000 };
  expect(await drain(image.readable(range, { salvage: true, onLost: (each) => lost.push(each) }))).toBe(5000);
  expect(places(lost)).toEqual([{ start: 2 * CLUSTER + 100, length: CLUSTER - 100 }]);
  expect(structuredClone(lost)).toEqual(lost);
  const extents = [];
  for await (const { start, length, unreadable } of image.map(range, { salvage: true })) {
    extents.push({ start, length, unreadable });
  }
  expect(extents[0]).toEqual({ start: 2 * CLUSTER + 100, length: CLUSTER - 100, unreadable: true });
});

test('the disk of a snapshot', async () => {
  const image = richImage();
  const at = image.entryAt(2);
  put(image.bytes, at, 8, get(image.bytes, at, 8) | UNALIGNED);
  const view = await (await Qcow2Image.open(image.bytes)).openSnapshot('one');
  expect(places((await stream(view, false)).lost)).toEqual([{ start: 2 * CLUSTER, length: CLUSTER }]);
});

test('an image that is being written', async () => {
  const { bytes } = damagedImage();
  const image = await Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite', verify: false });
  const written = new Uint8Array(CLUSTER).fill(7);
  await image.write(11 * CLUSTER, written);
  const salvaged = await stream(image, false);
  expect(places(salvaged.lost)).toEqual([{ start: 2 * CLUSTER, length: CLUSTER }]);
  expect(Buffer.compare(salvaged.bytes.subarray(11 * CLUSTER, 12 * CLUSTER), written)).toBe(0);
  // New tables and clusters are not on the medium yet, and may lie past the end of the file.
  await image.write(12 * CLUSTER, written);
  expect(places((await map(image)).lost)).toEqual([{ start: 2 * CLUSTER, length: CLUSTER }]);
  await image.close();
});

test('a new table that is not on the medium yet, next to a damaged one', async () => {
  const perTable = CLUSTER * (CLUSTER / 8);
  const clusters = new Map<number, Cell>([[0, filled(1, CLUSTER)]]);
  const { bytes, l1 } = buildImage({ clusterBits: 12, size: 2 * perTable, clusters, backingName: 'base' });
  put(bytes, l1, 8, get(bytes, l1, 8) | UNALIGNED);
  const base = new SourceWithBadPlaces(new Uint8Array(2 * perTable).fill(1), [], false);
  const resolve = async () => ({ source: base, format: 'raw' as const });
  const image = await Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite', verify: false, resolve });
  // Without data, the new table lies past the end of the file until it is flushed.
  await image.writeZeroes(perTable, CLUSTER);
  const { extents, lost } = await map(image);
  expect(places(lost)).toEqual([{ start: 0, length: perTable }]);
  expect(extents[1]).toMatchObject({ start: perTable, length: CLUSTER, present: true, zero: true });
});

describe('bad places are requested few times', () => {
  const SIZE = 64 * 2 ** 20;

  test.each([false, true])('a table: not for every chunk; asynchronous: %s', async (asynchronous) => {
    const { bytes, l1 } = buildImage({
      size: SIZE,
      clusters: new Map([
        [0, filled(1)],
        [1000, filled(2)],
      ]),
    });
    const source = new SourceWithBadPlaces(
      bytes,
      [{ at: Number(get(bytes, l1, 8) & 0xffff_ffff_fe00n), length: 1 }],
      asynchronous,
    );
    const image = await Qcow2Image.open(source);
    const { lost } = await stream(image, false);
    expect(places(lost)).toEqual([{ start: 0, length: SIZE }]);
    // A few chunks are read at once, each by itself and then extent by extent.
    expect(source.refused[0]).toBeLessThanOrEqual(asynchronous ? 8 : 2);
  });

  test('a large compressed cluster under an overlay of small ones: once for each chunk', async () => {
    const size = 2 ** 21;
    const payload = new Uint8Array(1000).fill(0xff);
    const clusters = new Map<number, Cell>([[0, { kind: 'compressed', payload }]]);
    const base = new SourceWithBadPlaces(buildImage({ clusterBits: 21, size, clusters }).bytes, [], false);
    const overlay = buildImage({ clusterBits: 9, size, backingName: 'base' }).bytes;
    const image = await Qcow2Image.open(overlay, { resolve: async () => ({ source: base, format: 'qcow2' }) });
    await map(image);
    const before = base.calls;
    expect(places((await stream(image, false)).lost)).toEqual([{ start: 0, length: size }]);
    // Of each of two chunks at once, and again by itself.
    expect(base.calls - before).toBeLessThanOrEqual(4);
  });

  test('a cluster: one in a megabyte takes a search, not a read of each cluster', async () => {
    const clusters = new Map(Array.from({ length: 256 }, (_, index) => [index, filled(index, 4096)]));
    const { bytes, entryAt } = buildImage({ clusterBits: 12, size: 2 ** 20, clusters });
    const at = Number(get(bytes, entryAt(200), 8) & 0xffff_ffff_fe00n);
    const source = new SourceWithBadPlaces(bytes, [{ at, length: 1 }], false);
    const image = await Qcow2Image.open(source);
    await image.read(0, 1);
    const before = source.calls;
    expect(places((await stream(image, false)).lost)).toEqual([{ start: 200 * 4096, length: 4096 }]);
    expect(source.calls - before).toBeLessThanOrEqual(2 + 2 * Math.log2(256));
  });
});

describe('after an abort or a close in the middle of a search for bad places nothing is requested', () => {
  const clusters = new Map(Array.from({ length: 256 }, (_, index) => [index, filled(index, CLUSTER)]));
  const { bytes } = buildImage({ clusterBits: 12, size: 2 ** 20, clusters });

  /** Opens an image whose data cannot be read, and calls `end` at the fifth refusal. */
  async function endedAtFifth(end: (image: Qcow2Image) => void, signal?: AbortSignal) {
    const source = new SourceWithBadPlaces(bytes, [], true);
    let refusals = 0;
    let bad = false;
    const image = await Qcow2Image.open({
      size: source.size,
      async read(transfers) {
        if (!bad) return source.read(transfers);
        if (++refusals === 5) end(image);
        throw new Qcow2Error('io', 'The disk is gone.', { what: 'file', at: transfers[0]!.at });
      },
    });
    await image.read(0, 1);
    bad = true;
    const error = await drain(image.readable(undefined, { salvage: true, signal })).catch((thrown: unknown) => thrown);
    return { error, refusals };
  }

  test('an abort', async () => {
    const controller = new AbortController();
    const reason = new Qcow2Error('io', 'Enough.');
    const { error, refusals } = await endedAtFifth(() => controller.abort(reason), controller.signal);
    expect(error).toBe(reason);
    expect(refusals).toBe(5);
  });

  test('a close', async () => {
    const { error, refusals } = await endedAtFifth((image) => void image.close());
    expect(error).toMatchObject({ code: 'closed' });
    expect(refusals).toBe(5);
  });
});

describe('hostile images', () => {
  /** In clusters of 64 KiB; two petabytes need an L1 table of as many entries as there can be. */
  function endless(entry: (index: number) => bigint, entries = 4_194_304): Uint8Array {
    const image = new Uint8Array(65_536 + entries * 8);
    image.set(buildImage({ size: 2 ** 20 }).bytes.subarray(0, 512));
    put(image, 24, 8, BigInt(entries) * 512n * 1024n * 1024n);
    put(image, 36, 4, entries);
    put(image, 40, 8, 65_536);
    const view = new DataView(image.buffer);
    for (let index = 0; index < entries; index++) view.setBigUint64(65_536 + index * 8, entry(index));
    return image;
  }

  test('every table of petabytes is damaged: one extent and one report', async () => {
    const image = await Qcow2Image.open(endless(() => 512n));
    const started = performance.now();
    const { extents, lost } = await map(image);
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(extents).toMatchObject([{ start: 0, length: image.size, unreadable: true }]);
    expect(lost).toMatchObject([{ start: 0, length: image.size, code: 'corrupt', what: 'L2 table' }]);
  }, 60_000);

  test('one table in 128 is read, and is no table', async () => {
    const image = await Qcow2Image.open(endless((index) => BigInt(index + 1) * 512n, 2 ** 18));
    const started = performance.now();
    const { lost } = await map(image);
    expect(performance.now() - started).toBeLessThan(20_000);
    // 33 tables lie in the file. Half of their entries that are aligned lead to data, and lie between others.
    expect(lost.length).toBeLessThan(33 * 2 * (8192 / 128));
  }, 60_000);

  test('a stream over endless damage can be aborted', async () => {
    const image = await Qcow2Image.open(endless(() => 512n));
    const controller = new AbortController();
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 100);
    await expect(drain(image.readable(undefined, { salvage: true, signal: controller.signal }))).rejects.toBe(reason);
  });

  const SEED = 20_261_130;
  test('random damage: as reads unit by unit', async () => {
    const bases = [richImage(), plainImage(), oldImage(), extendedImage()].map(({ bytes }) => bytes);
    let losses = 0;
    for (let seed = SEED; seed < SEED + 200; seed++) {
      const file = bases[seed % bases.length]!.slice();
      for (const { at, value } of damage(seed, file, structuresOf(file))) if (at >= 112) file[at] = value;
      const image = await Qcow2Image.open(file).catch(() => null);
      if (image === null) continue;
      const scanned = await scan(image, image.info.extendedL2 ? image.info.clusterSize / 32 : image.info.clusterSize);
      const salvaged = await stream(image, seed % 2 === 0);
      expect(salvaged.lost, `seed ${seed}`).toEqual(scanned.lost);
      expect(Buffer.compare(salvaged.bytes, scanned.bytes), `seed ${seed}`).toBe(0);
      const { lost } = await map(image);
      const inTables = scanned.lost.filter(({ what }) => what !== 'compressed cluster');
      expect(
        lost.filter(({ what }) => what !== 'compressed cluster'),
        `seed ${seed}`,
      ).toEqual(inTables);
      losses += lost.length;
    }
    expect(losses).toBeGreaterThan(20);
  }, 60_000);
});
