/** The number of device calls is the performance model: here those of writing are counted. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, type CreateOptions, type OpenOptions, Qcow2Image } from '../../src/index.js';
import { type Called, FaultyDevice } from '../support/faulty-device.js';
import { buildImage, filled } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';

const CLUSTER = 65_536;
const MIB = 1024 * 1024;

/** A device that writes down its calls, and an image on it that is open for writing; the calls so far are forgotten. */
async function opened(
  bytes: Uint8Array,
  base?: Uint8Array,
  cache?: OpenOptions['cache'],
): Promise<{ image: Qcow2Image; calls: Called[] }> {
  const device = new FaultyDevice(bufferDevice(bytes));
  const resolve = async () => (base === undefined ? undefined : { source: base, format: 'raw' as const });
  const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve, cache });
  expect(device.calls.filter(({ call }) => call !== 'read')).toEqual([]);
  device.calls.length = 0;
  return { image, calls: device.calls };
}

async function fresh(options: CreateOptions): Promise<{ image: Qcow2Image; calls: Called[] }> {
  const device = bufferDevice();
  await (await Qcow2Image.create(device, options)).close();
  return opened(device.bytes());
}

const writes = (calls: readonly Called[]) => calls.filter(({ call }) => call === 'write');
const flushes = (calls: readonly Called[]) => calls.filter(({ call }) => call === 'flush');

describe('device calls of writing', () => {
  it('are at most two before the flush for 1 MiB of fresh clusters, one of them the write', async () => {
    const { image, calls } = await fresh({ size: 64 * MIB });
    await image.write(0, noiseOf(1, MIB));
    expect(writes(calls)).toEqual([{ call: 'write', transfers: 1, bytes: MIB }]);
    expect(calls.length).toBeLessThanOrEqual(2);
    calls.length = 0;
    // The table is there now, and the refcount block.
    await image.write(MIB, noiseOf(1, MIB));
    expect(calls).toEqual([{ call: 'write', transfers: 1, bytes: MIB }]);
  });

  it('are few for the following flush: data and tables, the roots, and at most two flushes', async () => {
    const { image, calls } = await fresh({ size: 64 * MIB });
    await image.write(0, noiseOf(1, MIB));
    calls.length = 0;
    await image.flush();
    expect(flushes(calls)).toHaveLength(2);
    expect(writes(calls)).toHaveLength(2);
    calls.length = 0;
    await image.flush();
    expect(calls).toEqual([]);
  });

  it('are one write for 4 KiB in place, and one flush', async () => {
    const { image, calls } = await opened(buildImage({ size: MIB, clusters: new Map([[2, filled(1)]]) }).bytes);
    await image.read(0, new Uint8Array(1));
    calls.length = 0;
    await image.write(2 * CLUSTER + 4096, noiseOf(1, 4096));
    expect(calls).toEqual([{ call: 'write', transfers: 1, bytes: 4096 }]);
    await image.flush();
    expect(calls.slice(1)).toEqual([{ call: 'flush', transfers: 0, bytes: 0 }]);
    await image.close();
    expect(calls).toHaveLength(2);
  });

  it('copy only what subclusters require for 4 KiB in a new cluster of 128 KiB', async () => {
    const { image, calls } = await fresh({ size: 64 * MIB, clusterSize: 131_072, extendedL2: true });
    await image.write(3 * 131_072 + 8192, noiseOf(1, 4096));
    expect(writes(calls)).toEqual([{ call: 'write', transfers: 1, bytes: 4096 }]);
  });

  it('are one write for a copied head and tail, since the clusters are whole', async () => {
    const base = noiseOf(4, MIB);
    const built = buildImage({ size: MIB, backingName: 'base.raw' });
    const { image, calls } = await opened(built.bytes, base);
    await image.write(CLUSTER - 100, noiseOf(1, 200));
    expect(writes(calls)).toEqual([{ call: 'write', transfers: 1, bytes: 2 * CLUSTER }]);
  });

  it('are none for zeroing or discarding a hole', async () => {
    const { image, calls } = await fresh({ size: 64 * MIB });
    await image.discard(0, 64 * MIB);
    await image.writeZeroes(100, 10 * MIB);
    await image.flush();
    await image.close();
    expect(calls).toEqual([]);
  });

  it('are those of one table for a discard of a pebibyte with one table', async () => {
    const { image, calls } = await fresh({ size: 2 ** 50 });
    await image.write(2 ** 49, noiseOf(1, CLUSTER));
    await image.flush();
    calls.length = 0;
    await image.discard(0, 2 ** 50);
    expect(calls).toEqual([]);
    await image.flush();
    expect(writes(calls).length).toBeLessThanOrEqual(2);
    expect(calls.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(CLUSTER);
    await image.close();
  });

  it('mark a lazy image before the first change, once', async () => {
    const { image, calls } = await fresh({ size: 64 * MIB, lazyRefcounts: true });
    await image.write(0, noiseOf(1, CLUSTER));
    const [mark, flush, ...rest] = calls.filter(({ call }) => call !== 'read');
    expect([mark, flush]).toEqual([
      { call: 'write', transfers: 1, bytes: 512 },
      { call: 'flush', transfers: 0, bytes: 0 },
    ]);
    expect(rest).toEqual([{ call: 'write', transfers: 1, bytes: CLUSTER }]);
  });

  it('write metadata once for many writes if the changes fit the budget', async () => {
    const { image, calls } = await fresh({ size: 64 * MIB });
    for (let at = 0; at < 32 * MIB; at += MIB) await image.write(at, noiseOf(1, MIB));
    expect(writes(calls)).toHaveLength(32);
    expect(flushes(calls)).toHaveLength(0);
    await image.close();
    expect(flushes(calls).length).toBeLessThanOrEqual(3);
  });

  it('are not one flush for each write when lazy refcounts exceed their budget', async () => {
    const device = bufferDevice();
    const options = { size: 8 * MIB, clusterSize: 512, refcountBits: 64, lazyRefcounts: true };
    await (await Qcow2Image.create(device, options)).close();
    // Room for four blocks of 64 refcounts; 2048 writes and their L2 tables take 33.
    const { image, calls } = await opened(device.bytes(), undefined, { refcountBytes: 0 });
    for (let write = 0; write < 2048; write++) await image.write(write * 512, noiseOf(write, 512));
    // The one of the mark, and the three of a write-back for each four blocks.
    expect(flushes(calls).length).toBeLessThanOrEqual(1 + 3 * Math.ceil(33 / 4));
    await image.close();
  });

  it('write the changed parts of a long L1 table, not the bytes between them', async () => {
    const size = 127 * 1024 * MIB;
    // 32 KiB an entry: the table takes 31.75 MiB.
    const { image, calls } = await fresh({ size, clusterSize: 512 });
    for (const offset of [0, size / 2, size - 512]) await image.write(offset, noiseOf(1, 512));
    calls.length = 0;
    await image.close();
    expect(writes(calls).length).toBeLessThanOrEqual(3);
    expect(writes(calls).reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(32 * 512);
  });

  it('are none for skipping free runs of one cluster again, for a request of several', async () => {
    const { image, calls } = await holed();
    // The first request of each length learns the way.
    for (let pair = 0; pair < 5; pair++) await image.write(4 * MIB + pair * 32_768, noiseOf(pair, 16 * 512));
    calls.length = 0;
    const pairs = 50;
    for (let pair = 0; pair < pairs; pair++) {
      await image.write(pair * 2 * 512, noiseOf(pair, 512));
      await image.write(4 * MIB + pair * 32_768 + 8192, noiseOf(pair, 16 * 512));
    }
    expect(calls.filter(({ call }) => call === 'read').length).toBeLessThan(3 * pairs);
    await image.close();
  });

  it('load few refcount blocks each to release clusters all over the file', async () => {
    const { image, calls } = await holed();
    await image.discard(0, 4 * MIB);
    calls.length = 0;
    await image.flush();
    const reads = calls.filter(({ call }) => call === 'read');
    expect(reads.length).toBeGreaterThan(3);
    expect(Math.max(...reads.map(({ transfers }) => transfers))).toBeLessThanOrEqual(16);
    await image.close();
  });
});

/**
 * 4 MiB of which every other cluster of 512 bytes is a hole, 128 refcount blocks, hardly any of which stay in memory.
 */
async function holed(): Promise<{ image: Qcow2Image; calls: Called[] }> {
  const device = bufferDevice();
  const image = await Qcow2Image.create(device, { size: 8 * MIB, clusterSize: 512, refcountBits: 64 });
  await image.write(0, noiseOf(1, 4 * MIB));
  for (let at = 0; at < 4 * MIB; at += 1024) await image.discard(at, 512);
  await image.flush();
  const bytes = device.bytes();
  await image.close();
  return opened(bytes, undefined, { refcountBytes: 0 });
}
