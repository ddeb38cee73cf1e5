/** The builder of test images, judged by qemu-img: what it lays out must be clean and read as planned. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { buildImage, type Cell, type ImagePlan } from './image-builder.js';
import { runToolOrThrow } from './run-tool.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-builder-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function qemuImg(...args: string[]): string {
  return runToolOrThrow('qemu-img', args, folder);
}

function noise(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 7) * seed + seed) & 255);
}

/**
 * Data, zeros and neighbouring compressed clusters that share sectors, in two L2 tables where the clusters are small.
 */
function cells(clusterBits: number): { clusters: Map<number, Cell>; guest: Map<number, Uint8Array> } {
  const size = 2 ** clusterBits;
  const clusters = new Map<number, Cell>([
    [0, { kind: 'data', bytes: noise(size, 1) }],
    [2, { kind: 'zero', allocated: true }],
    [3, { kind: 'zero', allocated: false }],
  ]);
  const guest = new Map([[0, noise(size, 1)]]);
  for (const index of [5, 6, 7, 9]) {
    const bytes = noise(size, index * 3);
    guest.set(index, bytes);
    clusters.set(index, { kind: 'compressed', payload: deflateRawSync(bytes, { windowBits: 12 }) });
  }
  const far = clusterBits === 9 ? 70 : 11;
  clusters.set(far, { kind: 'data', bytes: noise(size, 5) });
  guest.set(far, noise(size, 5));
  return { clusters, guest };
}

const plans: [string, ImagePlan][] = [
  ['512-byte clusters', { clusterBits: 9, size: 80 * 512 }],
  ['64 KiB clusters', { clusterBits: 16 }],
  ['2 MiB clusters', { clusterBits: 21, size: 30 * 2 ** 20 + 512 }],
  ['a header of 104 bytes', { headerLength: 104 }],
  ['extended L2', { extendedL2: true }],
  ['refcounts of 4 bits', { refcountOrder: 2 }],
  ['refcounts of 64 bits', { refcountOrder: 6, clusterBits: 9, size: 80 * 512 }],
  ['extensions', { extensions: [{ type: 0x0badcafe, data: noise(13, 2) }] }],
  ['snapshots', { snapshots: [1, 2].map((id) => ({ id: `${id}`, name: `snapshot ${id}`, dateSec: 1_700_000_000 })) }],
];

test.each(plans)('qemu-img finds an image with %s clean and reads it as planned', (name, plan) => {
  const clusterBits = plan.clusterBits ?? 16;
  const { clusters, guest } = cells(clusterBits);
  const image = buildImage({ ...plan, clusters });
  const file = `${name.replaceAll(' ', '-')}.qcow2`;
  writeFileSync(join(folder, file), image.bytes);

  const report = JSON.parse(qemuImg('check', '-f', 'qcow2', '--output=json', file));
  expect(report).toMatchObject({ 'check-errors': 0, 'compressed-clusters': 4 });
  expect(report.corruptions ?? 0).toBe(0);
  expect(report.leaks ?? 0).toBe(0);

  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', file, `${file}.raw`);
  const raw = new Uint8Array(readFileSync(join(folder, `${file}.raw`)));
  const expected = new Uint8Array(raw.length);
  for (const [index, bytes] of guest) expected.set(bytes, index * image.clusterSize);
  expect(Buffer.compare(raw, expected)).toBe(0);

  const info = JSON.parse(qemuImg('info', '-f', 'qcow2', '--output=json', file));
  expect((info.snapshots ?? []).map((snapshot: { name: string }) => snapshot.name)).toEqual(
    (plan.snapshots ?? []).map((snapshot) => snapshot.name),
  );
});

test('version 2, with a backing name', () => {
  const image = buildImage({
    version: 2,
    backingName: 'nowhere.raw',
    clusters: new Map([[1, { kind: 'data', bytes: noise(9, 9) }]]),
  });
  writeFileSync(join(folder, 'v2.qcow2'), image.bytes);
  const info = JSON.parse(qemuImg('info', '-f', 'qcow2', '--output=json', 'v2.qcow2'));
  expect(info).toMatchObject({ 'backing-filename': 'nowhere.raw', 'format-specific': { data: { compat: '0.10' } } });
});
