/** Maps that read the data, to tell stored zeros from other data. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it, test } from 'vitest';
import { bufferDevice, type Extent, type OpenOptions, Qcow2Image } from '../../src/index.js';
import { loadGolden } from '../golden/golden.js';
import { buildImage, type Cell, filled, type ImagePlan } from '../support/image-builder.js';
import { mixedDisk, noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { RecordingSource } from '../support/recording-source.js';
import { extentsOf, splitByBytes } from './split-by-bytes.js';

const CLUSTER = 4096;
const MIB = 1024 * 1024;
const DETECT = { detectZeroes: true } as const;

const zeros = (): Cell => filled(0, CLUSTER);
const data = (seed = 1): Cell => filled(seed, CLUSTER);
const compressed = (byte: number): Cell => {
  return { kind: 'compressed', payload: deflateRawSync(new Uint8Array(CLUSTER).fill(byte)) };
};
const imageOf = (cells: readonly (Cell | null)[], plan: ImagePlan = {}): Uint8Array<ArrayBuffer> => {
  const clusters = new Map([...cells.entries()].filter((entry): entry is [number, Cell] => entry[1] !== null));
  return buildImage({ clusterBits: 12, size: cells.length * CLUSTER, clusters, ...plan }).bytes;
};

/** What extents are, in clusters: their length, and the kind of each. */
function kindsOf(extents: readonly Extent[]): string[] {
  return extents.map(({ length, data, zero, compressed, present }) => {
    const flags = [data && 'data', zero && 'zero', compressed && 'compressed', !present && 'absent'].filter(Boolean);
    return [length / CLUSTER, ...flags].join(' ');
  });
}

/** A disk's map with the detection, compared with what its bytes and its map without it say. */
async function detected(image: Qcow2Image): Promise<Extent[]> {
  const extents = await extentsOf(image, undefined, DETECT);
  const disk = await image.read(0, image.size);
  expect(extents).toEqual(splitByBytes(await extentsOf(image), disk, image.info.subclusterSize));
  return extents;
}

describe('stored zeros', () => {
  it('have both flags and keep their offset; other data, holes and zero clusters stay as they are', async () => {
    const allocated: Cell = { kind: 'zero', allocated: true };
    const unallocated: Cell = { kind: 'zero', allocated: false };
    const bytes = imageOf([zeros(), data(), data(), zeros(), zeros(), null, allocated, unallocated, zeros()]);
    const extents = await detected(await Qcow2Image.open(bytes));
    expect(kindsOf(extents)).toEqual([
      '1 data zero',
      '2 data',
      '2 data zero',
      '1 zero absent',
      '1 zero',
      '1 zero',
      '1 data zero',
    ]);
    expect(extents.filter(({ data }) => data).every(({ offset }) => offset !== undefined)).toBe(true);
  });

  it('are found in compressed clusters', async () => {
    const bytes = imageOf([compressed(0), compressed(1), compressed(0), compressed(0), data()]);
    const extents = await detected(await Qcow2Image.open(bytes));
    expect(kindsOf(extents)).toEqual([
      '1 data zero compressed',
      '1 data compressed',
      '2 data zero compressed',
      '1 data',
    ]);
  });

  it('are found by subclusters', async () => {
    const size = 16_384;
    const bytes = new Uint8Array(size);
    bytes[5 * 512 + 511] = 1;
    bytes[31 * 512] = 1;
    const clusters = new Map<number, Cell>([[0, { kind: 'data', bytes, bitmap: 0xffff_00ffn | (1n << 40n) }]]);
    const image = buildImage({ clusterBits: 14, size, extendedL2: true, clusters }).bytes;
    const extents = await detected(await Qcow2Image.open(image));
    expect(extents.map(({ length, data, zero }) => [length / 512, data, zero])).toEqual([
      [5, true, true],
      [1, true, false],
      [2, true, true],
      [1, false, true],
      [7, false, true],
      [15, true, true],
      [1, true, false],
    ]);
  });

  it('are tested in what a range has of a cluster', async () => {
    const bytes = new Uint8Array(CLUSTER);
    bytes[2048] = 1;
    const image = await Qcow2Image.open(imageOf([zeros(), { kind: 'data', bytes }, zeros()]));
    const flags = async (start: number, length: number) =>
      (await extentsOf(image, { start, length }, DETECT)).map((extent) => [extent.start, extent.length, extent.zero]);
    expect(await flags(4095, 2050)).toEqual([
      [4095, 1, true],
      [CLUSTER, 2049, false],
    ]);
    expect(await flags(CLUSTER, 2048)).toEqual([[CLUSTER, 2048, true]]);
    expect(await flags(CLUSTER + 2048, 1)).toEqual([[CLUSTER + 2048, 1, false]]);
    expect(await flags(CLUSTER + 2049, CLUSTER)).toEqual([[CLUSTER + 2049, CLUSTER, true]]);
    expect(await flags(3, 0)).toEqual([]);
  });
});

describe('a map of large data', () => {
  it('reads 4 MiB at once, and joins extents from one read to the next', async () => {
    const cells = Array.from({ length: 10 * 256 + 1 }, () => zeros());
    cells[9 * 256] = data();
    const source = new RecordingSource(imageOf(cells));
    const image = await Qcow2Image.open(source);
    source.calls.length = 0;
    const extents = await extentsOf(image, undefined, DETECT);
    expect(kindsOf(extents)).toEqual([`${9 * 256} data zero`, '1 data', '256 data zero']);
    const bytes = source.calls.map((call) => call.reduce((sum, { length }) => sum + length, 0));
    expect(bytes).toEqual([6 * CLUSTER, 4 * MIB, 4 * MIB, 2 * MIB + CLUSTER]);
  });

  it('is cut between clusters, wherever the range begins', async () => {
    const bytes = new Uint8Array(CLUSTER);
    bytes[CLUSTER - 1] = 1;
    const cells = Array.from(
      { length: 6 * 256 },
      (_, at): Cell => (at === 4 * 256 ? { kind: 'data', bytes } : zeros()),
    );
    const image = await Qcow2Image.open(imageOf(cells));
    const start = 100;
    const extents = await extentsOf(image, { start, length: image.size - start }, DETECT);
    expect(extents.map(({ length, zero }) => [length, zero])).toEqual([
      [4 * MIB - start, true],
      [CLUSTER, false],
      [2 * MIB - CLUSTER, true],
    ]);
  });

  it('reads no hole, no zero cluster and nothing twice, whatever lies between', async () => {
    const cells = Array.from({ length: 3 * 1024 }, (_, at): Cell | null => [data(), null, zeros()][at % 3]!);
    const source = new RecordingSource(imageOf(cells));
    const image = await Qcow2Image.open(source);
    source.calls.length = 0;
    expect(await extentsOf(image, undefined, DETECT)).toHaveLength(3 * 1024);
    const reads = source.calls.slice(1).flat();
    expect(reads.reduce((sum, { length }) => sum + length, 0)).toBe(2 * MIB * 4);
    // The tables, the data, and what the end of the map has held back.
    expect(source.calls.length).toBe(4);
  });

  it('is abortable, reports progress, and yields to the event loop', async () => {
    const image = await Qcow2Image.open(imageOf(Array.from({ length: 8 * 256 }, (_, at) => data(1 + (at % 2)))));
    const reports: number[] = [];
    const onProgress = ({ phase, done, total }: { phase: string; done: number; total: number }) => {
      expect([phase, total]).toEqual(['map', image.size]);
      reports.push(done);
    };
    await extentsOf(image, undefined, { ...DETECT, onProgress });
    expect(reports.at(-1)).toBe(image.size);
    const reason = { enough: true };
    const aborted = AbortSignal.abort(reason);
    await expect(extentsOf(image, undefined, { ...DETECT, signal: aborted })).rejects.toBe(reason);
    const abort = new AbortController();
    const aborting = { ...DETECT, signal: abort.signal, onProgress: () => abort.abort(reason) };
    await expect(extentsOf(image, undefined, aborting)).rejects.toBe(reason);
    const iterator = image.map(undefined, DETECT);
    await image.close();
    await expect(iterator.next()).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('a chain', () => {
  /** Clusters of 512 bytes: eight of zeros, one of data, seven of zeros, and a hole. */
  const base = (() => {
    const clusters = new Map<number, Cell>();
    for (let at = 0; at < 16; at++) clusters.set(at, filled(at === 8 ? 1 : 0, 512));
    return buildImage({ clusterBits: 9, size: 4 * CLUSTER, clusters }).bytes;
  })();
  const overlay = (backingName: string): Uint8Array<ArrayBuffer> =>
    imageOf([null, null, null, zeros()], { backingName });
  const over = (source: Uint8Array<ArrayBuffer>, format: 'raw' | 'qcow2'): OpenOptions => ({
    resolve: async () => ({ source, format }),
  });

  it('is tested in its backing files, qcow2 or raw, in units of the image itself', async () => {
    const image = await Qcow2Image.open(overlay('base'), over(base, 'qcow2'));
    const extents = await detected(image);
    expect(extents.map(({ depth }) => depth)).toEqual([1, 1, 1, 0]);
    expect(kindsOf(extents)).toEqual(['1 data zero', '1 data', '1 zero absent', '1 data zero']);
    const raw = new Uint8Array(4 * CLUSTER).fill(1, 2 * CLUSTER);
    const above = await detected(await Qcow2Image.open(overlay('raw'), over(raw, 'raw')));
    expect(above.map(({ depth }) => depth)).toEqual([1, 1, 0]);
    expect(kindsOf(above)).toEqual(['2 data zero', '1 data', '1 data zero']);
  });

  it('without its backing file has its own data tested, and the rest is unknown', async () => {
    const image = await Qcow2Image.open(overlay('base'));
    const extents = await extentsOf(image, undefined, DETECT);
    expect(kindsOf(extents)).toEqual(['3 absent', '1 data zero']);
  });

  it('whose disk is encrypted cannot be tested', async () => {
    const image = await Qcow2Image.open(imageOf([data()], { encryption: 1 }));
    await expect(extentsOf(image, undefined, DETECT)).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe('an image that is written', () => {
  it('is tested as it is, before a flush and after', async () => {
    const image = await Qcow2Image.create(bufferDevice(), { size: 64 * CLUSTER, clusterSize: CLUSTER });
    await image.write(0, new Uint8Array(16 * CLUSTER));
    await image.write(4 * CLUSTER, noiseOf(1, 2 * CLUSTER));
    expect(kindsOf(await detected(image))).toEqual(['4 data zero', '2 data', '10 data zero', '48 zero absent']);
    await image.discard(0, 2 * CLUSTER);
    await image.flush();
    expect(kindsOf(await detected(image))).toEqual([
      '2 zero',
      '2 data zero',
      '2 data',
      '10 data zero',
      '48 zero absent',
    ]);
    await image.close();
  });
});

describe('qemu-img convert leaves out what is stored zeros', () => {
  const folder = new QemuFolder('zeroes');
  test.each(['512', '4096', '65536'])('in clusters of %s bytes', async (clusterSize) => {
    const unit = Number(clusterSize);
    const disk = mixedDisk(unit, 64 * unit, unit);
    folder.img('create', '-q', '-f', 'qcow2', '-o', `cluster_size=${unit}`, 'i.qcow2', String(disk.length));
    const device = bufferDevice(folder.get('i.qcow2'));
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.write(0, disk);
    const extents = await detected(image);
    await image.close();
    folder.put('i.qcow2', device.bytes());
    folder.img(
      'convert',
      '-f',
      'qcow2',
      '-O',
      'qcow2',
      '-o',
      `cluster_size=${unit}`,
      '-S',
      clusterSize,
      'i.qcow2',
      'o.qcow2',
    );
    const map = JSON.parse(folder.img('map', '--output=json', 'o.qcow2')) as Extent[];
    const stored = (each: readonly Extent[], isStored: (extent: Extent) => boolean) =>
      each
        .filter(isStored)
        .flatMap(({ start, length }) => Array.from({ length: length / unit }, (_, at) => start / unit + at));
    const kept = stored(extents, ({ data, zero }) => data && !zero);
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.length).toBeLessThan(60);
    expect(stored(map, ({ data }) => data)).toEqual(kept);
  });
});

test.each(loadGolden().filter(({ unsupported, info }) => !unsupported && info['virtual-size'] <= 16 * MIB))(
  'golden image $name',
  async ({ file, folder }) => {
    const resolve: OpenOptions['resolve'] = async ({ name }) => {
      return new Uint8Array(readFileSync(join(folder, basename(name))));
    };
    await using image = await Qcow2Image.open(new Uint8Array(readFileSync(file)), { resolve });
    await detected(image);
    for (const { id } of image.snapshots) {
      await using view = await image.openSnapshot({ id });
      await detected(view);
    }
  },
);
