/** Compressed streams that compaction moves: to places that were read before, and with narrow refcounts. */
import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, filled, type ImagePlan } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const CLUSTER = 65_536;
/** Guest clusters from one stream to the next. */
const STEP = 4;
const folder = new QemuFolder('compact-streams');

/** A guest cluster of which `noise` bytes cannot be compressed. */
function guestCluster(seed: number, noise: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(CLUSTER);
  bytes.set(noiseOf(seed, noise));
  return bytes;
}

const compressed = (bytes: Uint8Array): Cell => ({ kind: 'compressed', payload: deflateRawSync(bytes) });

/** An image of these guest clusters that is open for writing. */
async function open(clusters: readonly Cell[], plan: ImagePlan = {}) {
  const { bytes } = buildImage({ ...plan, size: 32 * CLUSTER, clusters: new Map(clusters.entries()) });
  const device = bufferDevice(bytes);
  return { device, image: await Qcow2Image.open(device, { mode: 'readwrite' }) };
}

describe('streams', () => {
  test('that move to where another one was read before are not taken for it', async () => {
    const [first, second] = [guestCluster(1, 60_000), guestCluster(2, 60_000)];
    const others = [1, 2, 3, 4].map((value) => filled(value));
    const { image } = await open([compressed(first), ...others, compressed(second)]);
    expectSame(await image.read(0, 512), first.slice(0, 512));
    await image.discard(0, 5 * CLUSTER);
    await image.compact();
    expectSame(await image.read(5 * CLUSTER, 512), second.slice(0, 512));
    await image.close();
  });

  test('leave to others the clusters that were reserved for them in vain', async () => {
    const [first, second] = [guestCluster(1, 40_000), guestCluster(2, 40_000)];
    const others = [1, 2, 3, 4].map((value) => filled(value));
    const { image } = await open([...others, compressed(first), filled(5), compressed(second)]);
    await image.discard(0, 4 * CLUSTER);
    await image.compact();
    expect((await image.usage()).free).toBe(0);
    await image.close();
  });

  test.each([0, 1, 2])('share clusters as far as refcounts of the order %i can say', async (refcountOrder) => {
    const streams = [1, 2, 3, 4, 5].map((seed) => guestCluster(seed, 36_000 + 4000 * seed));
    const cells = [1, 2, 3, 4, 5, 6, 7, 8].map((value) => filled(value));
    // Each in a cluster of its own: two have no room in one, and others lie between them.
    for (const bytes of streams) cells.push(compressed(bytes), ...[5, 6, 7].map((value) => filled(value)));
    const { image, device } = await open(cells, { refcountOrder });
    const at = (index: number) => (8 + STEP * index) * CLUSTER;
    await image.discard(0, 8 * CLUSTER);
    for (const index of streams.keys()) await image.discard(at(index) + CLUSTER, 3 * CLUSTER);
    await image.compact();
    expect((await image.check({ deep: true })).findings).toEqual([]);
    for (const [index, bytes] of streams.entries()) expectSame(await image.read(at(index), CLUSTER), bytes);
    const { data, fileSize, free } = await image.usage();
    expect(free).toBe(0);
    expect(fileSize).toBeLessThanOrEqual(data + 6 * CLUSTER);
    await image.close();
    folder.put('streams.qcow2', device.bytes());
    folder.img('check', '-q', 'streams.qcow2');
  });
});
