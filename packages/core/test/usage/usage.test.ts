/** The usage of images that are built by hand, damaged ones among them, and of images that are in use. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image, type Usage } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, filled, type ImagePlan } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { RecordingSource } from '../support/recording-source.js';
import { SlowDevice } from '../support/slow-device.js';
import { sumOf } from './sum-of.js';

const CLUSTER = 4096;
const MIB = 1024 * 1024;

const snapshotsOf = (count: number) => Array.from({ length: count }, (_, at) => ({ id: `${at + 1}`, name: `s${at}` }));
const dataOf = (...clusters: readonly number[]): Map<number, Cell> =>
  new Map(clusters.map((cluster) => [cluster, filled(cluster + 1, CLUSTER)]));
const build = (plan: ImagePlan): BuiltImage => buildImage({ clusterBits: 12, ...plan });

/** Its bits, its table and the directory have a cluster each. */
const BITMAP = { name: 'marks', flags: 2, bits: new Uint8Array(1) };

/** The usage in clusters. */
async function usageOf(bytes: Uint8Array): Promise<Usage> {
  await using image = await Qcow2Image.open(bytes);
  const usage = await image.usage();
  expect(sumOf(usage)).toBe(bytes.length);
  const { snapshots, ...figures } = usage;
  const inClusters = Object.entries(figures).map(([name, length]) => [name, length! / CLUSTER]);
  return {
    ...Object.fromEntries(inClusters),
    snapshots: snapshots.map((snapshot) => ({ ...snapshot, exclusive: snapshot.exclusive / CLUSTER })),
  };
}

/** The host offset in the entry at the byte `at`. */
const hostAt = (bytes: Uint8Array, at: number): number => Number(get(bytes, at, 8) & 0x00ff_ffff_ffff_fe00n);

/** Sets the refcount, of 16 bits, of the cluster at a host offset. */
function setRefcount({ bytes, refcountBlocks }: BuiltImage, at: number, count: number): void {
  put(bytes, refcountBlocks[0]! + (at / CLUSTER) * 2, 2, count);
}

/** Where the L1 table of a snapshot is. The entries of these images are 40 bytes, 16 more and a short name. */
function snapshotL1({ bytes, snapshotTable }: BuiltImage, index: number): number {
  let at = snapshotTable;
  for (let left = index; left > 0; left--) {
    const strings = Number(get(bytes, at + 12, 2)) + Number(get(bytes, at + 14, 2));
    at += Math.ceil((56 + strings) / 8) * 8;
  }
  return Number(get(bytes, at, 8));
}

describe('the figures', () => {
  it('tell leaks, free clusters and clusters that no refcount counts apart', async () => {
    const image = build({ clusters: dataOf(0, 1, 2), leaked: 3 });
    const { bytes } = image;
    const before = await usageOf(bytes);
    expect(before).toMatchObject({ data: 3, leaks: 3, free: 0, uncounted: 0, bitmaps: 0, sharedSnapshots: 0 });
    expect(before.tables).toBe(bytes.length / CLUSTER - 6);
    setRefcount(image, hostAt(bytes, image.entryAt(1)), 0);
    setRefcount(image, image.l1, 0);
    const expected = { ...before, data: 2, tables: before.tables - 1, uncounted: 2 };
    expect(await usageOf(bytes)).toEqual(expected);
    put(bytes, image.entryAt(1), 8, 0);
    expect(await usageOf(bytes)).toEqual({ ...expected, uncounted: 1, free: 1 });
  });

  it('count a cluster once, for the first of tables, bitmaps, data and snapshots', async () => {
    const image = build({ clusters: dataOf(0, 1, 2, 3), bitmaps: [BITMAP] });
    const { bytes, extensions } = image;
    const before = await usageOf(bytes);
    expect(before).toMatchObject({ data: 4, bitmaps: 3 });
    // Entries that lead to the L1 table, to the cluster of another, and to the directory of the bitmaps.
    put(bytes, image.entryAt(0), 8, image.l1);
    put(bytes, image.entryAt(1), 8, hostAt(bytes, image.entryAt(3)));
    put(bytes, image.entryAt(2), 8, get(bytes, extensions[0]! + 24, 8));
    expect(await usageOf(bytes)).toEqual({ ...before, data: 1, leaks: 3 });
  });

  it('ignore what is past the end of the file, and tables at no cluster', async () => {
    const image = build({ clusters: dataOf(0, 1), size: 8 * MIB });
    const { bytes, l1 } = image;
    const before = await usageOf(bytes);
    put(bytes, image.entryAt(1), 8, 1n << 50n);
    put(bytes, l1 + 8, 8, 1n << 54n);
    put(bytes, l1 + 16, 8, hostAt(bytes, l1) + 512);
    expect(await usageOf(bytes)).toEqual({ ...before, data: 1, leaks: 1 });
  });

  it('count the last cluster of a file as long as it is', async () => {
    const image = build({ clusters: dataOf(0) });
    const whole = await usageOf(image.bytes);
    const longer = new Uint8Array(image.bytes.length + 100);
    longer.set(image.bytes);
    await using opened = await Qcow2Image.open(longer);
    const usage = await opened.usage();
    expect([usage.free, usage.data, usage.tables]).toEqual([100, CLUSTER, whole.tables * CLUSTER]);
    expect(sumOf(usage)).toBe(longer.length);
  });

  it('have a file with more clusters than can be counted refused, before anything of it is read', async () => {
    const { bytes } = buildImage({ clusterBits: 9, clusters: new Map([[0, filled(1, 512)]]) });
    await using image = await Qcow2Image.open(new RecordingSource(bytes, { size: 2 ** 41 }));
    await expect(image.usage()).rejects.toMatchObject({ code: 'unsupported', details: { what: 'file' } });
  });
});

describe('of snapshots, figures', () => {
  it('are those of the active disk for what it refers to, and of each L1 table alone', async () => {
    const image = build({ clusters: dataOf(0, 1, 2), snapshots: snapshotsOf(3) });
    const usage = await usageOf(image.bytes);
    expect(usage).toMatchObject({ data: 3, sharedSnapshots: 0 });
    expect(usage.snapshots).toEqual(snapshotsOf(3).map((snapshot) => ({ ...snapshot, exclusive: 1 })));
  });

  // An owner takes one byte up to 250 snapshots, and more beyond.
  it.each([2, 300])('are shared where several of %i snapshots refer, and exclusive where one does', async (count) => {
    const image = build({ clusters: dataOf(0, 1, 2), snapshots: snapshotsOf(count) });
    const { bytes, l1 } = image;
    put(bytes, l1, 8, 0);
    const shared = await usageOf(bytes);
    expect([shared.data, shared.sharedSnapshots]).toEqual([0, 4]);
    expect(shared.snapshots.map(({ exclusive }) => exclusive)).toEqual(Array.from({ length: count }, () => 1));
    for (let index = 0; index < count - 1; index++) put(bytes, snapshotL1(image, index), 8, 0);
    const alone = await usageOf(bytes);
    expect([alone.data, alone.sharedSnapshots]).toEqual([0, 0]);
    expect(alone.snapshots.map(({ exclusive }) => exclusive)).toEqual([
      ...Array.from({ length: count - 1 }, () => 1),
      1 + 4,
    ]);
  });

  it('need a table to be read at most twice, however many snapshots share it', async () => {
    const readsOf = async (count: number, active: boolean) => {
      const image = build({ clusters: dataOf(0, 1, 2), snapshots: snapshotsOf(count) });
      const table = hostAt(image.bytes, image.l1);
      if (!active) put(image.bytes, image.l1, 8, 0);
      const source = new RecordingSource(image.bytes);
      await using opened = await Qcow2Image.open(source);
      source.calls.length = 0;
      await opened.usage();
      return source.calls.flat().filter(({ at }) => at === table).length;
    };
    expect(await readsOf(20, true)).toBe(1);
    expect(await readsOf(20, false)).toBe(2);
  });

  it('leave a snapshot out whose L1 table is misplaced, and name it', async () => {
    const image = build({ clusters: dataOf(0), snapshots: snapshotsOf(2) });
    put(image.bytes, image.snapshotTable, 8, snapshotL1(image, 0) + 512);
    const { snapshots, leaks } = await usageOf(image.bytes);
    expect(snapshots.map(({ exclusive }) => exclusive)).toEqual([0, 1]);
    expect(leaks).toBe(1);
  });
});

describe('in use', () => {
  async function slow(): Promise<Qcow2Image> {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: 8 * MIB, clusterSize: CLUSTER, lazyRefcounts: true })).close();
    return Qcow2Image.open(new SlowDevice(device, () => 3), { mode: 'readwrite' });
  }

  it('an image is flushed first, its refcounts too, and quarantined clusters are free', async () => {
    const image = await slow();
    await image.write(0, noiseOf(1, MIB));
    expect(await image.usage()).toMatchObject({ data: MIB, leaks: 0, uncounted: 0 });
    await image.discard(0, MIB / 2);
    const usage = await image.usage();
    expect(usage).toMatchObject({ data: MIB / 2, leaks: 0, uncounted: 0 });
    expect(usage.free).toBeGreaterThanOrEqual(MIB / 2);
    expect(sumOf(usage)).toBe(image.info.fileSize);
    await image.close();
  });

  it('changes wait, and what is written meanwhile counts next time', async () => {
    const image = await slow();
    const done: string[] = [];
    let writing = Promise.resolve();
    const onProgress = () => {
      writing = image.write(0, noiseOf(1, MIB)).then(() => void done.push('write'));
    };
    const { data } = await image.usage({ onProgress }).finally(() => done.push('usage'));
    await writing;
    expect([data, ...done]).toEqual([0, 'usage', 'write']);
    expect((await image.usage()).data).toBe(MIB);
    await image.close();
  });

  it('an abort, a callback that throws and a close end it, and changes go on', async () => {
    const image = await slow();
    await image.write(0, noiseOf(1, MIB));
    const reason = { enough: true };
    await expect(image.usage({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const abort = new AbortController();
    const aborted = image.usage({ signal: abort.signal });
    abort.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    const onProgress = (): never => {
      throw reason;
    };
    await expect(image.usage({ onProgress })).rejects.toBe(reason);
    await image.write(0, noiseOf(2, CLUSTER));
    const ended = image.usage();
    const closing = image.close();
    await expect(ended).rejects.toMatchObject({ code: 'closed' });
    await closing;
    await expect(image.usage()).rejects.toMatchObject({ code: 'closed' });
  });

  it('reports progress up to the end, and makes no write call where nothing was changed', async () => {
    const device = bufferDevice(build({ clusters: dataOf(0), snapshots: snapshotsOf(2) }).bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    const reports: [string, number, number][] = [];
    await image.usage({ onProgress: ({ phase, done, total }) => reports.push([phase, done, total]) });
    const total = 3 * 512 * CLUSTER;
    expect(reports.at(-1)).toEqual(['usage', total, total]);
    expect(await image.stats()).toMatchObject({ deviceWrites: 0, deviceFlushes: 0 });
    await image.close();
  });

  it('the view of a snapshot has the usage of its image', async () => {
    const { bytes } = build({ clusters: dataOf(0, 1), snapshots: snapshotsOf(2) });
    await using image = await Qcow2Image.open(bytes);
    await using view = await image.openSnapshot('1');
    expect(await view.usage()).toEqual(await image.usage());
  });

  it('an image that is open for repair has one, too', async () => {
    const image = build({ clusters: dataOf(0, 1), leaked: 2 });
    const opened = await Qcow2Image.open(bufferDevice(image.bytes), { mode: 'repair' });
    expect((await opened.usage()).leaks).toBe(2 * CLUSTER);
    await opened.repair({ fix: 'leaks' });
    expect(await opened.usage()).toMatchObject({ leaks: 0, free: 2 * CLUSTER });
    await opened.close();
  });
});
