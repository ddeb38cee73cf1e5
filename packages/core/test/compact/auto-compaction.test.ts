/** Images that are compacted by themselves while they are idle. */
import { describe, expect, test } from 'vitest';
import { type AutoCompactOptions, bufferDevice, type Done, Qcow2Image } from '../../src/index.js';
import { put } from '../support/big-endian.js';
import { buildImage, filled as dataCell } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { afterMs, LaterDevice, SlowDevice } from '../support/slow-device.js';

const CLUSTER = 4096;
const CLUSTERS = 64;
const SIZE = CLUSTERS * CLUSTER;
/** How long a compaction may take on a busy machine, milliseconds. */
const MAX_WAIT_MS = 30_000;

async function filled(autoCompact: AutoCompactOptions) {
  const device = bufferDevice();
  const image = await Qcow2Image.create(device, { size: SIZE, clusterSize: CLUSTER });
  const disk = noiseOf(1, SIZE);
  await image.write(0, disk);
  await image.close();
  const file = bufferDevice(device.bytes());
  return { file, disk, image: await Qcow2Image.open(file, { mode: 'readwrite', autoCompact }) };
}

/** Discards every other cluster. */
async function discardHalf(image: Qcow2Image, disk: Uint8Array): Promise<void> {
  for (let at = 0; at < SIZE; at += 2 * CLUSTER) {
    await image.discard(at, CLUSTER);
    disk.fill(0, at, at + CLUSTER);
  }
}

async function until(done: () => boolean): Promise<void> {
  const end = Date.now() + MAX_WAIT_MS;
  while (!done()) {
    if (Date.now() > end) throw new Error('It has not happened.');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('an image that is compacted by itself', () => {
  test('becomes shorter when enough was discarded', async () => {
    const { image, disk, file } = await filled({ afterDiscarded: 8 * CLUSTER, keepFree: 0 });
    const { size } = file;
    await discardHalf(image, disk);
    await until(() => file.size <= size - (CLUSTERS / 2) * CLUSTER);
    expect((await image.check()).findings).toEqual([]);
    expect(await image.read(0, SIZE)).toEqual(disk);
    await image.close();
  });

  test('keeps as much free as was asked for', async () => {
    const keepFree = 10 * CLUSTER;
    const { image, disk, file } = await filled({ afterDiscarded: CLUSTER, keepFree });
    const { size } = file;
    await discardHalf(image, disk);
    await until(() => file.size < size);
    // It may still be running.
    await image.compact();
    const compact = file.size;
    await image.close();
    const again = await filled({ afterDiscarded: CLUSTER, keepFree });
    await discardHalf(again.image, again.disk);
    await until(() => again.file.size === compact + keepFree);
    expect(await again.image.read(0, SIZE)).toEqual(again.disk);
    await again.image.close();
  });

  test('is left alone until enough was discarded', async () => {
    const { image, disk, file } = await filled({ afterDiscarded: SIZE, keepFree: 0 });
    const { size } = file;
    await discardHalf(image, disk);
    await image.flush();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(file.size).toBe(size);
    await image.close();
  });

  test('is left alone when nothing was discarded, whatever is free', async () => {
    const first = await filled({ afterDiscarded: SIZE, keepFree: 0 });
    await discardHalf(first.image, first.disk);
    await first.image.close();
    const { size } = first.file;
    const autoCompact = { afterDiscarded: 0, keepFree: 0 };
    const image = await Qcow2Image.open(first.file, { mode: 'readwrite', autoCompact });
    await image.discard(0, CLUSTER);
    await image.writeZeroes(0, 0);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await image.stats()).space).toMatchObject({ movedClusters: 0 });
    expect(first.file.size).toBe(size);
    await image.close();
  });

  test('can be used, resized and closed meanwhile', async () => {
    const { image, disk, file } = await filled({ afterDiscarded: CLUSTER, keepFree: 0 });
    await discardHalf(image, disk);
    const bytes = noiseOf(2, CLUSTER);
    for (let step = 0; step < 20; step++) {
      await image.write(step * CLUSTER, bytes);
      disk.set(bytes, step * CLUSTER);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await image.resize(2 * SIZE);
    expect(await image.read(0, SIZE)).toEqual(disk);
    await image.discard(SIZE - CLUSTER, CLUSTER);
    disk.fill(0, SIZE - CLUSTER);
    await image.close();
    const again = await Qcow2Image.open(file);
    expect((await again.check()).findings).toEqual([]);
    expect(await again.read(0, SIZE)).toEqual(disk);
  });

  test('ends with its image', async () => {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: SIZE, clusterSize: CLUSTER })).close();
    const file = bufferDevice(device.bytes());
    let next = 0;
    const slow = new SlowDevice(file, () => next++);
    const autoCompact = { afterDiscarded: 0, keepFree: 0 };
    const image = await Qcow2Image.open(slow, { mode: 'readwrite', autoCompact });
    await image.write(0, noiseOf(1, SIZE));
    await image.discard(0, SIZE / 2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await image.close();
    const bytes = file.bytes();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(file.bytes()).toEqual(bytes);
  });

  test('does not begin while the image is being closed', async () => {
    const file = bufferDevice();
    const image = await Qcow2Image.create(file, { size: 64 * 2 ** 20, clusterSize: CLUSTER });
    // More tables than the cache keeps, so that a compaction reads the file.
    for (let at = 0; at < image.size; at += 2 ** 21) await image.write(at, noiseOf(1, CLUSTER));
    await image.close();
    let isClosed = false;
    let late = 0;
    const read = async (work: () => Done) => {
      await afterMs(5)(work);
      if (isClosed) late++;
    };
    const again = await Qcow2Image.open(new LaterDevice(file, { read, flush: afterMs(450) }), {
      mode: 'readwrite',
      autoCompact: { afterDiscarded: CLUSTER, keepFree: 0 },
      cache: { l2Bytes: 0 },
    });
    await again.discard(0, CLUSTER);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await again.close();
    isClosed = true;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(late).toBe(0);
  });

  test('does not cut off what nothing counts, when it was not counted before', async () => {
    const [size, last] = [65_536, 15];
    const clusters = new Map([1, 2, last].map((index) => [index, dataCell(index)] as const));
    const { bytes, entryAt } = buildImage({ clusters });
    // The last guest cluster is at the end of the file, and has no refcount.
    const file = new Uint8Array(bytes.length + size).fill(last, bytes.length);
    file.set(bytes);
    put(file, entryAt(last), 8, BigInt(bytes.length) | (1n << 63n));
    const device = bufferDevice(file);
    const autoCompact = { afterDiscarded: size, keepFree: 0 };
    const image = await Qcow2Image.open(device, { mode: 'readwrite', verify: false, autoCompact });
    await image.discard(size, size);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(await image.read(last * size, size)).toEqual(new Uint8Array(size).fill(last));
    await image.close();
  });
});
