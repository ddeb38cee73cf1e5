/** The verbs that change an image's size and that of its file, across the real worker, over OPFS. */
import type { Progress } from 'qcow2';
import { describe, expect, test } from 'vitest';
import { buildImage, filled } from '../../core/test/support/image-builder.js';
import type { Store, WorkerImage } from '../src/index.js';
import { withEmptyStore } from './support/empty-store.js';
import { noise } from './support/images.js';
import { firstDifference, packageFiles } from './support/opfs.js';

const CLUSTER = 65_536;
const MIB = 2 ** 20;
/** What one L2 table maps. */
const REACH = 512 * MIB;
/** How long an automatic compaction may take on a busy machine, milliseconds. */
const MAX_WAIT_MS = 30_000;

let store: Store;
withEmptyStore((opened) => {
  store = opened;
});

const STOPPED = new Error('Enough.');

/** A callback that stops its verb once something is done: unlike an abort, it is never too late. */
function stop({ done }: Progress): void {
  if (done > 0) throw STOPPED;
}

/** Length of an image's file in OPFS; nothing may have it open. */
async function fileSize(name: string): Promise<number> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('qcow2');
  const [found] = (await packageFiles()).filter((file) => file.startsWith(name));
  return (await (await folder.getFileHandle(found!)).getFile()).size;
}

/** A disk of clusters of noise, of which every other one was discarded; and its bytes. */
async function halfDiscarded(name: string): Promise<{ image: WorkerImage; disk: Uint8Array }> {
  const image = await store.create(name, { size: 8 * MIB });
  const disk = noise(8 * MIB, 1);
  await image.write(0, disk);
  await image.flush();
  for (let at = 0; at < disk.length; at += 2 * CLUSTER) {
    await image.discard(at, CLUSTER);
    disk.fill(0, at, at + CLUSTER);
  }
  return { image, disk };
}

/** Waits until a compaction has moved clusters, and moves no more for a second. */
async function untilMoved(image: WorkerImage): Promise<void> {
  const end = Date.now() + MAX_WAIT_MS;
  for (let [before, still] = [0, 0]; still < 4; ) {
    if (Date.now() > end) throw new Error('It has not moved anything.');
    await new Promise((resolve) => setTimeout(resolve, 250));
    const { movedClusters } = (await image.stats()).space!;
    still = movedClusters === before && before > 0 ? still + 1 : 0;
    before = movedClusters;
  }
}

async function expectSame(image: WorkerImage, disk: Uint8Array): Promise<void> {
  expect(firstDifference(await image.read(0, disk.length), disk)).toBe(-1);
  expect(await image.check()).toMatchObject({ corruptions: 0, leaks: 0 });
}

describe('resizing', () => {
  test('changes the size here, and requests and an open stream follow', async () => {
    await using image = await store.create('resized', { size: 4 * MIB });
    const disk = noise(4 * MIB, 2);
    await image.write(0, disk);
    const reader = image.readable().getReader();
    let streamed = (await reader.read()).value!.length;
    await image.resize(2 * MIB, { shrink: true });
    expect([image.size, image.info.virtualSize]).toEqual([2 * MIB, 2 * MIB]);
    for (let next = await reader.read(); !next.done; next = await reader.read()) streamed += next.value.length;
    expect(streamed).toBeLessThanOrEqual(4 * MIB);
    expect(streamed).toBeGreaterThanOrEqual(2 * MIB);
    await expect(image.read(2 * MIB, 512)).rejects.toMatchObject({ code: 'out-of-range' });
    const reports: Progress[] = [];
    await image.resize(4 * MIB, { onProgress: (progress) => reports.push(progress) });
    expect(reports.at(-1)).toMatchObject({ phase: 'resize', done: 2 * MIB, total: 2 * MIB });
    expect(image.size).toBe(4 * MIB);
    await expectSame(image, disk.fill(0, 2 * MIB));
    await expect(image.resize(MIB)).rejects.toThrow(RangeError);
    expect(image.size).toBe(4 * MIB);
  });

  test('leaves the disks of snapshots as they are', async () => {
    const clusters = new Map([0, 9].map((cluster) => [cluster, filled(cluster + 1)] as const));
    const { bytes } = buildImage({ clusters, snapshots: [{ id: '1', name: 'one' }] });
    await store.import('snapshots', new File([bytes], 'snapshots.qcow2'));
    await using image = await store.open('snapshots', { mode: 'readwrite' });
    const view = await image.openSnapshot('one');
    await image.resize(512, { shrink: true });
    await image.resize(2 * MIB);
    await image.compact();
    expect([image.size, view.size]).toEqual([2 * MIB, MIB]);
    const expected = new Uint8Array(MIB).fill(1, 0, CLUSTER).fill(10, 9 * CLUSTER, 10 * CLUSTER);
    expect(firstDifference(await view.read(0, MIB), expected)).toBe(-1);
  });

  test('that is stopped leaves the size here as it is in the file', async () => {
    const image = await store.create('aborted', { size: 8 * REACH });
    for (let table = 0; table < 8; table++) await image.write(table * REACH, noise(512, table));
    await expect(image.resize(MIB, { shrink: true, onProgress: stop })).rejects.toBe(STOPPED);
    const { size, info } = image;
    expect(size).toBe(MIB);
    expect(info.virtualSize).toBe(size);
    await expect(image.read(MIB, 512)).rejects.toMatchObject({ code: 'out-of-range' });
    await image.close();
    await using again = await store.open('aborted');
    expect(again.size).toBe(size);
  });
});

describe('compaction', () => {
  test('makes the file shorter, with progress', async () => {
    const { image, disk } = await halfDiscarded('compacted');
    const { usage } = await store.estimate();
    const reports: Progress[] = [];
    const { copied, oldSize, newSize } = await image.compact({ onProgress: (progress) => reports.push(progress) });
    expect(copied).toBeGreaterThan(0);
    expect(newSize).toBeLessThan(oldSize - 3 * MIB);
    expect(image.info.fileSize).toBe(newSize);
    expect(reports.at(-1)).toMatchObject({ phase: 'compact', done: reports.at(-1)!.total });
    await expectSame(image, disk);
    await image.close();
    expect(await fileSize('compacted')).toBe(newSize);
    // The origin has the space back.
    await expect.poll(async () => (await store.estimate()).usage).toBeLessThan(usage - 3 * MIB);
  });

  test('that is stopped loses nothing, and can be called again', async () => {
    const { image, disk } = await halfDiscarded('aborted compaction');
    await expect(image.compact({ signal: AbortSignal.abort(STOPPED) })).rejects.toBe(STOPPED);
    await expect(image.compact({ onProgress: stop })).rejects.toBe(STOPPED);
    await expectSame(image, disk);
    const { newSize } = await image.compact();
    await expectSame(image, disk);
    await image.close();
    expect(await fileSize('aborted compaction')).toBe(newSize);
  });

  test('by itself makes the file shorter while the image is idle', async () => {
    const made = await halfDiscarded('idle');
    await made.image.close();
    const before = await fileSize('idle');
    const autoCompact = { afterDiscarded: MIB, keepFree: 0 };
    const image = await store.open('idle', { mode: 'readwrite', autoCompact });
    for (let at = 0; at < 4 * MIB; at += CLUSTER) await image.discard(at, CLUSTER);
    await untilMoved(image);
    await expectSame(image, made.disk.fill(0, 0, 4 * MIB));
    await image.close();
    expect(await fileSize('idle')).toBeLessThan(before - MIB);
  });
});

test('sparsifying releases zeros that are stored, with progress', async () => {
  await using image = await store.create('sparse', { size: 8 * MIB });
  const disk = noise(8 * MIB, 3).fill(0, MIB, 6 * MIB);
  await image.write(0, disk);
  const reports: Progress[] = [];
  const { released } = await image.sparsify({ onProgress: (progress) => reports.push(progress) });
  expect(released).toBe(5 * MIB);
  expect(reports.at(-1)).toMatchObject({ phase: 'sparsify', done: 8 * MIB, total: 8 * MIB });
  await expect(image.sparsify({ signal: AbortSignal.abort(STOPPED) })).rejects.toBe(STOPPED);
  await image.compact();
  expect(image.info.fileSize).toBeLessThan(4 * MIB);
  await expectSame(image, disk);
});
