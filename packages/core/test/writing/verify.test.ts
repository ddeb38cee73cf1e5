/**
 * An image is counted before it is opened for writing: one that a check finds damaged is refused, and stays as it is.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, type Progress, Qcow2Image } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';

const CLUSTER = 65_536;
const MIB = 1024 * 1024;
const data = (seed: number): Cell => ({ kind: 'data', bytes: noiseOf(seed, CLUSTER) });
const OFFSET = 0x00ff_ffff_ffff_fe00n;

/** Two clusters of data, in one L2 table. */
function twoClusters(plan: Partial<ImagePlan> = {}): BuiltImage & { readonly l2: number } {
  const built = buildImage({ size: MIB, clusters: new Map([0, 1].map((at) => [at, data(at + 1)])), ...plan });
  return { ...built, l2: Number(get(built.bytes, built.l1, 8) & OFFSET) };
}

/** Damage that no entry shows by itself: only a count of all references does. */
const damages: Record<string, (image: ReturnType<typeof twoClusters>) => void> = {
  'two entries that point to one cluster': ({ bytes, l2 }) => put(bytes, l2 + 8, 8, get(bytes, l2, 8)),
  'a cluster of guest data with refcount 0': ({ bytes, l2, refcountBlocks }) =>
    put(bytes, refcountBlocks[0]! + (Number(get(bytes, l2, 8) & OFFSET) / CLUSTER) * 2, 2, 0n),
  'an entry that points to the L2 table': ({ bytes, l2 }) => put(bytes, l2, 8, (1n << 63n) | BigInt(l2)),
  'two L1 entries that point to one table': ({ bytes, l1 }) => put(bytes, l1 + 8, 8, get(bytes, l1, 8)),
};

describe('an image that is opened for writing', () => {
  it.each(Object.entries(damages))('is refused with %s', async (what, damage) => {
    const image = twoClusters({ size: what.includes('L1') ? 1024 * MIB : MIB });
    damage(image);
    const device = bufferDevice(image.bytes);
    await expect(Qcow2Image.open(device, { mode: 'readwrite' })).rejects.toMatchObject({
      name: 'Qcow2Error',
      code: 'corrupt',
      message: expect.stringMatching(/[Rr]epair/),
      details: { what: expect.any(String), at: expect.any(Number) },
    });
    expect(Buffer.compare(device.bytes(), image.bytes)).toBe(0);
    // The refusal holds nothing: the image is read, and written by whoever insists.
    await (await Qcow2Image.open(image.bytes)).close();
    await (await Qcow2Image.open(device, { mode: 'readwrite', verify: false })).close();
  });

  it.each([
    ['the disk', 'active'],
    ['a snapshot', 'snapshot'],
  ] as const)(
    'is refused when an L1 table of %s refers to an L2 table twice, even if its refcount is 2',
    async (_, whose) => {
      const image = twoClusters({ size: 1024 * MIB, snapshots: [{ id: '1', name: 'one' }] });
      const { bytes, l2, refcountBlocks, snapshotTable } = image;
      const l1 = whose === 'active' ? image.l1 : Number(get(bytes, snapshotTable, 8));
      put(bytes, l1 + 8, 8, get(bytes, l1, 8));
      const data = [0, 1].map((entry) => Number(get(bytes, l2 + entry * 8, 8) & OFFSET));
      for (const at of [l2, ...data]) {
        const refcount = refcountBlocks[0]! + (at / CLUSTER) * 2;
        put(bytes, refcount, 2, get(bytes, refcount, 2) + 1n);
      }
      expect(await (await Qcow2Image.open(bytes)).check()).toMatchObject({ corruptions: 0, checkErrors: 0, extra: 1 });
      const opening = Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite' });
      await expect(opening).rejects.toMatchObject({ code: 'corrupt', details: { fault: 'overlap' } });
    },
  );

  it('is opened when a check finds only leaks', async () => {
    const image = twoClusters();
    put(image.bytes, image.l2 + 8, 8, 0n);
    const device = bufferDevice(image.bytes);
    const opened = await Qcow2Image.open(device, { mode: 'readwrite' });
    expect((await opened.check()).leaks).toBe(1);
    await opened.close();
  });

  it('is not verified when it was just created', async () => {
    const image = await Qcow2Image.create(bufferDevice(), { size: 1024 * MIB, preallocation: 'metadata' });
    expect((await image.stats()).deviceReads).toBeLessThan(5);
    await image.close();
  });

  it('reports the progress of the count, and stops for a signal', async () => {
    const device = bufferDevice(twoClusters().bytes);
    const reports: Progress[] = [];
    await (await Qcow2Image.open(device, { mode: 'readwrite', onProgress: (report) => reports.push(report) })).close();
    expect(reports.at(-1)).toMatchObject({ phase: 'check' });
    expect(reports.at(-1)!.done).toBe(reports.at(-1)!.total);
    const reason = new Error('enough');
    const controller = new AbortController();
    const opening = Qcow2Image.open(device, {
      mode: 'readwrite',
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(opening).rejects.toBe(reason);
    await (await Qcow2Image.open(device, { mode: 'readwrite' })).close();
  });
});
