/** Snapshots of random disks, each deleted by qemu-img in a copy: it frees what the usage says. Leaks are QEMU's. */
import { copyFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Qcow2Image, type Usage } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';
import { runTool } from '../support/run-tool.js';
import { refcountsOf } from './refcounts-of.js';
import { sumOf } from './sum-of.js';

const folder = new QemuFolder('deleted');
const SNAPSHOTS = 6;

/** Kinds of images, each with the size of its disk: several L2 tables where clusters are small. */
const KINDS = [
  { options: 'cluster_size=512,refcount_bits=64', clusterSize: 512, clusters: 200 },
  { options: 'cluster_size=512', clusterSize: 512, clusters: 200 },
  { options: 'cluster_size=4k,compat=0.10', clusterSize: 4096, clusters: 1100 },
  { options: 'extended_l2=on,cluster_size=16k', clusterSize: 16_384, clusters: 60 },
] as const;

/** Writes, compresses, zeroes and discards random clusters. */
function change(file: string, next: () => number, clusterSize: number, clusters: number): void {
  const commands = Array.from({ length: 6 }, () => {
    const at = (next() % clusters) * clusterSize;
    const length = Math.min(1 + (next() % 12), clusters - at / clusterSize) * clusterSize;
    return [
      `write -P ${1 + (next() % 250)} ${at} ${length}`,
      `write -c -P ${1 + (next() % 250)} ${at} ${clusterSize}`,
      `write -z ${at} ${length}`,
      `discard ${at} ${length}`,
    ][next() % 4]!;
  });
  const script = commands.flatMap((command) => ['-c', command]);
  // QEMU refuses to compress what is allocated; the other commands are carried out.
  runTool('qemu-io', ['-d', 'unmap', '-f', 'qcow2', ...script, file], folder.path);
}

async function usageOf(file: string): Promise<Usage> {
  const bytes = folder.get(file);
  await using image = await Qcow2Image.open(bytes);
  const usage = await image.usage();
  expect(sumOf(usage)).toBe(bytes.length);
  return usage;
}

describe.each(KINDS)('$options', ({ options, clusterSize, clusters }) => {
  test.each([1, 2])('random disk %i', async (seed) => {
    const next = numbers(seed);
    const file = 'i.qcow2';
    folder.img('create', '-q', '-f', 'qcow2', '-o', options, file, String(clusters * clusterSize));
    for (let count = 0; count < SNAPSHOTS; count++) {
      change(file, next, clusterSize, clusters);
      folder.img('snapshot', '-c', `s${count}`, file);
    }
    change(file, next, clusterSize, clusters);
    const usage = await usageOf(file);
    const { inUse, refcounts } = refcountsOf(folder.get(file));
    expect([usage.leaks, usage.uncounted]).toEqual([0, 0]);
    expect(Math.ceil(usage.free / clusterSize)).toBe(refcounts.filter((count) => count === 0n).length);
    expect(usage.snapshots).toHaveLength(SNAPSHOTS);
    expect(usage.sharedSnapshots).toBeGreaterThan(0);
    for (const { name, exclusive } of usage.snapshots) {
      copyFileSync(folder.at(file), folder.at('copy.qcow2'));
      folder.img('snapshot', '-d', name, 'copy.qcow2');
      const freed = inUse - refcountsOf(folder.get('copy.qcow2')).inUse;
      expect(Math.ceil(exclusive / clusterSize), name).toBe(freed);
      // What two snapshots shared belongs to one of them now.
      expect((await usageOf('copy.qcow2')).snapshots).toHaveLength(SNAPSHOTS - 1);
    }
  });

  test('clusters that lose all their references are leaks of qemu-img check', async () => {
    const file = 'leaking.qcow2';
    folder.img('create', '-q', '-f', 'qcow2', '-o', options, file, String(clusters * clusterSize));
    folder.io(file, `write -P 1 0 ${20 * clusterSize}`);
    const bytes = folder.get(file);
    const l1 = Number(get(bytes, 40, 8));
    put(bytes, l1, 8, 0);
    folder.put(file, bytes);
    const { leaks } = qemuChecks(folder.path, file)!;
    expect(leaks).toBeGreaterThan(20);
    expect((await usageOf(file)).leaks).toBe(leaks * clusterSize);
  });
});
