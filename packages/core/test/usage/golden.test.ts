/** The usage of every golden image: against its refcounts, `qemu-img check`, and what QEMU frees with a snapshot. */
import { copyFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Qcow2Image, type Usage } from '../../src/index.js';
import { type Golden, loadGolden } from '../golden/golden.js';
import { QemuFolder } from '../support/qemu.js';
import { refcountsOf } from './refcounts-of.js';
import { sumOf } from './sum-of.js';

const folder = new QemuFolder('usage');

async function usageOf(bytes: Uint8Array): Promise<Usage> {
  await using image = await Qcow2Image.open(bytes);
  return await image.usage();
}

/** The clusters that `bytes` bytes of a file take, whose last cluster may be short. */
const clustersIn = (bytes: number, clusterSize: number): number => Math.ceil(bytes / clusterSize);

describe.each(loadGolden())('$name', (golden: Golden) => {
  const bytes = new Uint8Array(readFileSync(golden.file));

  test('adds up to the length of the file, and its free bytes are the clusters with refcount 0', async () => {
    const usage = await usageOf(bytes);
    const { clusterSize, refcounts } = refcountsOf(bytes);
    expect(sumOf(usage)).toBe(bytes.length);
    expect(usage.fileSize).toBe(bytes.length);
    const unused = refcounts.filter((count) => count === 0n).length;
    expect(clustersIn(usage.free + usage.uncounted, clusterSize)).toBe(unused);
    // The figures of the check are those of qemu-img: check/golden.test.ts.
    await using image = await Qcow2Image.open(bytes);
    const { corruptions, leaks } = await image.check();
    expect(clustersIn(usage.leaks, clusterSize)).toBe(leaks);
    if (corruptions === 0) expect(usage.uncounted).toBe(0);
    expect(usage.snapshots.map(({ id, name }) => ({ id, name }))).toEqual(
      (golden.info.snapshots ?? []).map(({ id, name }) => ({ id, name })),
    );
  });

  test('has as much data as the map of the disk has clusters', async () => {
    await using image = await Qcow2Image.open(bytes);
    const { data, uncounted, dataFile } = await image.usage();
    const { clusterSize } = image.info;
    const hosts = new Set<number>();
    // A map has no offsets of compressed and encrypted clusters, of VM state, and of subclusters that are unallocated.
    let isWhole = image.snapshots.length === 0 && image.info.encryption === undefined && !image.info.extendedL2;
    for await (const { depth, offset, length, compressed } of image.map()) {
      if (compressed) isWhole = false;
      if (depth > 0 || offset === undefined) continue;
      for (let at = offset; at < offset + length; at += clusterSize) hosts.add(Math.floor(at / clusterSize));
      hosts.add(Math.floor((offset + length - 1) / clusterSize));
    }
    if (image.info.dataFile !== undefined) expect([data, dataFile]).toEqual([0, hosts.size * clusterSize]);
    else {
      expect(dataFile).toBeUndefined();
      const clusters = clustersIn(data + uncounted, clusterSize);
      expect(clusters).toBeGreaterThanOrEqual(hosts.size);
      if (isWhole) expect(clusters).toBe(hosts.size);
    }
  });

  for (const [index, { name }] of (golden.info.snapshots ?? []).entries()) {
    test(`what snapshot "${name}" alone refers to is what qemu-img frees when it deletes it`, async () => {
      const file = basename(golden.file);
      for (const each of [file, ...golden.files]) copyFileSync(join(golden.folder, each), folder.at(each));
      const { clusterSize, inUse } = refcountsOf(bytes);
      const { exclusive } = (await usageOf(bytes)).snapshots[index]!;
      folder.img('snapshot', '-d', name, file);
      const after = refcountsOf(folder.get(file));
      expect(clustersIn(exclusive, clusterSize)).toBe(inUse - after.inUse);
    });
  }
});
