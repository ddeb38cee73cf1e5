/**
 * Views of internal snapshots: which one is meant, whose they are, and what is refused. Their bytes are compared in
 * golden/.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, bufferSource, Qcow2Image } from '../src/index.js';
import { put } from './support/big-endian.js';
import { type BuiltImage, buildImage, type ImagePlan } from './support/image-builder.js';

const CLUSTER = 4096;
const SIZE = 16 * CLUSTER;

/** Extra data: the machine state's size, the disk's size. */
function extra(diskSize: number | bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  put(bytes, 8, 8, diskSize);
  return bytes;
}

/** An image with data in its first two clusters, which its snapshots share. */
function imageOf(snapshots: ImagePlan['snapshots'], more: ImagePlan = {}): BuiltImage {
  const data = (seed: number) => ({ kind: 'data', bytes: new Uint8Array(CLUSTER).fill(seed) }) as const;
  const clusters = new Map([
    [0, data(1)],
    [1, data(2)],
  ]);
  return buildImage({ clusterBits: 12, size: SIZE, clusters, ...more, snapshots: snapshots ?? [] });
}

const two = [
  { id: '7', name: '8', extra: extra(2 * CLUSTER) },
  { id: '8', name: 'x', extra: extra(3 * CLUSTER) },
];

describe('which snapshot', () => {
  it.each([
    ['7', 2],
    ['x', 3],
    [{ id: '8' }, 3],
    [{ name: '8' }, 2],
  ])('%j selects the one whose disk has %i clusters', async (which, clusters) => {
    const image = await Qcow2Image.open(imageOf(two).bytes);
    expect((await image.openSnapshot(which)).size).toBe(clusters * CLUSTER);
  });

  it('must be clear: a string that is the id of one and the name of another is refused', async () => {
    const image = await Qcow2Image.open(imageOf(two).bytes);
    await expect(image.openSnapshot('8')).rejects.toMatchObject({ code: 'ambiguous', details: { name: '8' } });
    const alike = await Qcow2Image.open(imageOf([...two, { id: '9', name: 'x' }]).bytes);
    await expect(alike.openSnapshot({ name: 'x' })).rejects.toMatchObject({ code: 'ambiguous' });
    expect((await alike.openSnapshot({ id: '9' })).size).toBe(SIZE);
  });

  it('must exist', async () => {
    const image = await Qcow2Image.open(imageOf(two).bytes);
    for (const name of ['', '9', 'X'])
      await expect(image.openSnapshot(name)).rejects.toMatchObject({ code: 'not-found', details: { name } });
  });
});

describe('a view', () => {
  it('has its own size, map, stream and end', async () => {
    const image = await Qcow2Image.open(imageOf(two).bytes);
    const view = await image.openSnapshot('x');
    expect(view.info.virtualSize).toBe(3 * CLUSTER);
    const extents = [];
    for await (const { start, length, data } of view.map()) extents.push([start, length, data]);
    expect(extents).toEqual([
      [0, 2 * CLUSTER, true],
      [2 * CLUSTER, CLUSTER, false],
    ]);
    expect(await view.seekHole(0)).toBe(2 * CLUSTER);
    expect((await new Response(view.readable()).arrayBuffer()).byteLength).toBe(3 * CLUSTER);
    await expect(view.read(3 * CLUSTER, new Uint8Array(1))).rejects.toMatchObject({ code: 'out-of-range' });
    expect((await view.openSnapshot('7')).size).toBe(2 * CLUSTER);
  });

  it.each(['read', 'readwrite', 'repair'] as const)('cannot be changed, whatever the mode: %s', async (mode) => {
    const image = await Qcow2Image.open(bufferDevice(imageOf(two).bytes), { mode });
    const view = await image.openSnapshot('x');
    const refused = { code: 'read-only', message: 'The disk of a snapshot cannot be changed.' };
    const byte = new Uint8Array(1);
    const changes = [
      () => view.write(0, byte),
      () => view.writeBatch([{ at: 0, bytes: byte }]),
      () => view.writeZeroes(0, 1),
      () => view.discard(0, 1),
      () => view.resize(CLUSTER, { shrink: true }),
      () => view.sparsify(),
      () => view.compact(),
    ];
    for (const change of changes) await expect(change()).rejects.toMatchObject(refused);
    expect(() => view.writable()).toThrow(refused.message);
    expect(() => view.writeSync(0, byte)).toThrow(refused.message);
    await expect(view.repair({ fix: 'all' })).rejects.toMatchObject({
      code: 'read-only',
      message: 'The disk of a snapshot cannot be repaired by itself. Repair its image.',
    });
    await image.close();
  });

  it('may be larger than the disk: clusters that its L1 table does not map read as zeros', async () => {
    const image = await Qcow2Image.open(
      imageOf([{ id: '1', name: 'large', extra: extra(40 * 1024 * 1024 + 700) }]).bytes,
    );
    const view = await image.openSnapshot('large');
    expect(view.size, 'rounded down to sectors').toBe(40 * 1024 * 1024 + 512);
    const into = new Uint8Array(CLUSTER).fill(9);
    await view.read(view.size - CLUSTER, into);
    expect(into.every((byte) => byte === 0)).toBe(true);
  });

  it('is refused if its size is not a safe integer, whatever the cluster size', async () => {
    for (const size of [2n ** 53n, 2n ** 55n + 1n]) {
      const snapshots = [{ id: '1', name: 'huge', extra: extra(size) }];
      const image = await Qcow2Image.open(buildImage({ clusterBits: 21, size: 2 ** 22, snapshots }).bytes);
      const what = 'L1 table of snapshot "huge"';
      await expect(image.openSnapshot('huge')).rejects.toMatchObject({ code: 'unsupported', details: { what } });
    }
  });

  it('has the size of the disk if the snapshot has none', async () => {
    const image = await Qcow2Image.open(imageOf([{ id: '1', name: 'old', extra: new Uint8Array(0) }]).bytes);
    expect((await image.openSnapshot('1')).size).toBe(SIZE);
  });

  it('is closed by itself or with the image, and closes neither the image nor another view', async () => {
    const source = bufferSource(imageOf(two).bytes);
    const image = await Qcow2Image.open(source);
    const [first, second] = [await image.openSnapshot('7'), await image.openSnapshot({ id: '8' })];
    const byte = new Uint8Array(1);
    await first.close();
    await expect(first.read(0, byte)).rejects.toMatchObject({ code: 'closed' });
    await second.read(0, byte);
    await image.read(0, byte);
    await image.close();
    await expect(second.read(0, byte)).rejects.toMatchObject({ code: 'closed' });
    await expect(image.openSnapshot('7')).rejects.toMatchObject({ code: 'closed' });
  });

  it('reads through to the backing file', async () => {
    const base = new Uint8Array(SIZE).fill(77);
    const image = await Qcow2Image.open(imageOf(two, { backingName: 'base.raw' }).bytes, {
      resolve: async () => ({ source: bufferSource(base), format: 'raw' }),
    });
    const into = new Uint8Array(2);
    await (await image.openSnapshot('x')).read(2 * CLUSTER - 1, into);
    expect([...into]).toEqual([2, 77]);
  });
});

describe('a snapshot that is damaged', () => {
  /** Where the fields of the first snapshot's entry stand, and what they must not be. */
  it.each<[string, number, 4 | 8, number | bigint, 'corrupt' | 'unsupported']>([
    ['an L1 table between clusters', 0, 8, 512, 'corrupt'],
    ['an L1 table past the end of the file', 0, 8, 2 ** 40, 'corrupt'],
    ['an L1 table past the largest host offset', 0, 8, 2n ** 63n, 'corrupt'],
    ['an L1 table that runs past the end of the file', 8, 4, 100_000, 'corrupt'],
    ['an L1 table of more than 32 MiB', 8, 4, 4_194_305, 'unsupported'],
    ['a disk that no L1 table can map', 48, 8, 2n ** 62n, 'corrupt'],
  ])('with %s is refused by name, and the image can still be read', async (_, at, width, value, code) => {
    const image = imageOf(two);
    put(image.bytes, image.snapshotTable + at, width, value);
    const opened = await Qcow2Image.open(image.bytes);
    await expect(opened.openSnapshot('7')).rejects.toMatchObject({
      code,
      message: expect.stringContaining('snapshot "8"'),
      details: { what: 'L1 table of snapshot "8"', at: expect.any(Number) },
    });
    await opened.read(0, new Uint8Array(1));
    expect((await opened.openSnapshot({ id: '8' })).size).toBe(3 * CLUSTER);
  });
});
