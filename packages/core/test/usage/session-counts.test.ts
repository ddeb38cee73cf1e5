/** The counts of clusters of an image that is open for writing, against the refcounts of its file. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { buildImage, filled } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { refcountsOf } from './refcounts-of.js';

const CLUSTER = 4096;
const MIB = 1024 * 1024;

describe('the counts of a session', () => {
  it('are those by which the clusters in use change, and the quarantine is empty after a flush', async () => {
    const device = bufferDevice();
    const options = { size: 64 * MIB, clusterSize: 512, refcountBits: 64 };
    const image = await Qcow2Image.create(device, options);
    await image.flush();
    const used = () => refcountsOf(device.bytes()).refcounts.filter((count) => count > 0n).length;
    const before = used();
    await image.write(0, noiseOf(1, 4 * MIB));
    await image.flush();
    const { space: written } = await image.stats();
    expect(written).toMatchObject({ quarantinedClusters: 0 });
    expect(written!.allocatedClusters).toBeGreaterThan((4 * MIB) / 512);
    expect(written!.allocatedClusters - written!.releasedClusters).toBe(used() - before);
    await image.discard(0, MIB);
    expect((await image.stats()).space).toMatchObject({ quarantinedClusters: MIB / 512 });
    await image.flush();
    const { space: discarded } = await image.stats();
    expect(discarded).toMatchObject({
      movedClusters: 0,
      quarantinedClusters: 0,
      releasedClusters: written!.releasedClusters + MIB / 512,
    });
    expect(discarded!.allocatedClusters - discarded!.releasedClusters).toBe(used() - before);
    expect(discarded!.freeClusters * 512).toBe((await image.usage()).free);
    await image.close();
  });

  it('know free clusters only where refcounts are in memory, and make no device call', async () => {
    const clusters = new Map([[0, filled(1, CLUSTER)]]);
    const { bytes } = buildImage({ clusterBits: 12, clusters, leaked: 1 });
    const image = await Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite' });
    const before = await image.stats();
    expect(before.space).toEqual({
      allocatedClusters: 0,
      releasedClusters: 0,
      movedClusters: 0,
      quarantinedClusters: 0,
      freeClusters: 0,
    });
    await image.discard(0, CLUSTER);
    await image.flush();
    const { deviceReads } = await image.stats();
    expect(await image.stats()).toMatchObject({ deviceReads, space: { releasedClusters: 1, freeClusters: 1 } });
    await image.close();
  });

  it('are absent where the image is only read', async () => {
    await using image = await Qcow2Image.open(buildImage().bytes);
    expect(await image.stats()).not.toHaveProperty('space');
  });
});
