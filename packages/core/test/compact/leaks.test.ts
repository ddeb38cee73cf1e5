/** Compaction frees leaks, and refuses images that it cannot compact before it does. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, filled, type ImagePlan } from '../support/image-builder.js';

const CLUSTER = 4096;

function leaking(more: Partial<ImagePlan> = {}): Uint8Array<ArrayBuffer> {
  const clusters = new Map([0, 3].map((cluster) => [cluster, filled(cluster + 1, CLUSTER)] as const));
  return buildImage({ clusterBits: 12, size: 64 * CLUSTER, leaked: 5, clusters, ...more }).bytes;
}

describe('an image with leaks', () => {
  it.each([
    ['refcounts of 16 bits', {}],
    ['lazy refcounts', { compatible: 1n }],
    ['refcounts of one bit', { refcountOrder: 0 }],
    ['version 2', { version: 2, headerLength: 72 }],
  ] satisfies [string, Partial<ImagePlan>][])('has none after a compaction: %s', async (_, plan) => {
    const device = bufferDevice(leaking(plan));
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    expect((await image.check()).leaks).toBe(5);
    const { oldSize, newSize } = await image.compact();
    expect(newSize).toBe(oldSize - 5 * CLUSTER);
    expect(device.size).toBe(newSize);
    expect(await image.check()).toMatchObject({ leaks: 0, corruptions: 0 });
    const expected = new Uint8Array(64 * CLUSTER).fill(1, 0, CLUSTER).fill(4, 3 * CLUSTER, 4 * CLUSTER);
    expectSame(await image.read(0, expected.length), expected);
    await image.close();
  });

  it('is not changed when it is encrypted with LUKS, and cannot be compacted', async () => {
    const bytes = leaking({ encryption: 2, clusters: new Map() });
    const device = bufferDevice(bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await expect(image.compact()).rejects.toMatchObject({ name: 'Qcow2Error', code: 'unsupported' });
    await image.close();
    expectSame(device.bytes(), bytes);
  });
});
