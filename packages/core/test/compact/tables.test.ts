/** Tables of consecutive clusters that compaction moves, also those whose word is in a table that moves itself. */
import { describe, expect, test } from 'vitest';
import { bufferDevice, type Progress, Qcow2Image } from '../../src/index.js';
import { put } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, filled } from '../support/image-builder.js';
import { QemuFolder } from '../support/qemu.js';

const CLUSTER = 512;
const COPIED = 1n << 63n;
const folder = new QemuFolder('compact-tables');

describe('tables', () => {
  test('of snapshots move although the snapshot table has moved before them', async () => {
    const { bytes } = buildImage({
      clusterBits: 9,
      size: 2 ** 22,
      leaked: 20,
      clusters: new Map([[1, filled(1, CLUSTER)]]),
    });
    folder.put('snapshots.qcow2', bytes);
    const names = ['s1', 's2', 's3'];
    for (const [index, name] of names.entries()) {
      folder.io('snapshots.qcow2', `write -P ${index + 1} 0 512`);
      folder.img('snapshot', '-c', name, 'snapshots.qcow2');
    }
    const disks = names.map((name) => folder.raw('snapshots.qcow2', name));
    // QEMU writes the snapshot table anew with each snapshot, where there is room: here before the tables it lists.
    const made = folder.get('snapshots.qcow2');
    const header = new DataView(made.buffer);
    const place = 25 * CLUSTER;
    const table = Number(header.getBigUint64(64));
    made.copyWithin(place, table, table + CLUSTER);
    put(made, 64, 8, BigInt(place));
    const device = bufferDevice(made);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.compact();
    for (const [index, name] of names.entries()) {
      const view = await image.openSnapshot(name);
      expectSame(await view.read(0, view.size), disks[index]!);
      await view.close();
    }
    await image.close();
    folder.put('snapshots.qcow2', device.bytes());
    folder.img('check', '-q', 'snapshots.qcow2');
    for (const [index, name] of names.entries()) expectSame(folder.raw('snapshots.qcow2', name), disks[index]!);
  });

  test('of refcounts at the end of a file that they just count stay there', async () => {
    // 128 blocks of 64 refcounts: all that a table of two clusters has.
    const total = 7930;
    const data: Cell = filled(7, CLUSTER);
    const clusters = new Map(Array.from({ length: total }, (_, index) => [index, data] as const));
    const { refcountTable, refcountBlocks, entryAt, ...built } = buildImage({
      clusterBits: 9,
      refcountOrder: 6,
      size: 2 ** 23,
      clusters,
    });
    expect(built.bytes.length).toBe(8189 * CLUSTER);
    // The table moves to the last two clusters, behind a free one; guest data take its place.
    const bytes = new Uint8Array(8192 * CLUSTER);
    bytes.set(built.bytes);
    bytes.copyWithin(8190 * CLUSTER, refcountTable, refcountTable + 2 * CLUSTER);
    put(bytes, 48, 8, BigInt(8190 * CLUSTER));
    for (const index of [0, 1]) {
      put(bytes, refcountBlocks[127]! + (62 + index) * 8, 8, 1n);
      put(bytes, entryAt(total + index), 8, BigInt(refcountTable + index * CLUSTER) | COPIED);
    }
    const device = bufferDevice(bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.compact();
    expect((await image.check()).findings).toEqual([]);
    await image.close();
    folder.put('refcounts.qcow2', device.bytes());
    folder.img('check', '-q', 'refcounts.qcow2');
  });

  test('and all else: leaks do not stay', async () => {
    const { bytes } = buildImage({ leaked: 20, clusters: new Map([[1, filled(1)]]) });
    const device = bufferDevice(bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    let progress: Progress | undefined;
    await image.compact({
      onProgress(now) {
        progress = now;
      },
    });
    expect(progress?.done).toBe(progress?.total ?? 0);
    expect((await image.check()).findings).toEqual([]);
    expect((await image.usage()).free).toBe(0);
    await image.close();
    folder.put('leaks.qcow2', device.bytes());
    folder.img('check', '-q', 'leaks.qcow2');
  });
});
