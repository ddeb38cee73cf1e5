/** The builder of test images, judged by qemu-img: what it lays out must be clean and read as planned. */
import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { buildImage, type Cell, type ImagePlan } from './image-builder.js';
import { noiseOf, softNoiseOf } from './numbers.js';
import { QemuFolder } from './qemu.js';

const folder = new QemuFolder('builder');

/**
 * Data, zeros and neighbouring compressed clusters that share sectors, in two L2 tables where the clusters are small.
 */
function cells(clusterBits: number): { clusters: Map<number, Cell>; guest: Map<number, Uint8Array> } {
  const size = 2 ** clusterBits;
  const clusters = new Map<number, Cell>([
    [0, { kind: 'data', bytes: noiseOf(1, size) }],
    [2, { kind: 'zero', allocated: true }],
    [3, { kind: 'zero', allocated: false }],
  ]);
  const guest = new Map([[0, noiseOf(1, size)]]);
  for (const index of [5, 6, 7, 9]) {
    const bytes = softNoiseOf(index * 3, size);
    guest.set(index, bytes);
    clusters.set(index, { kind: 'compressed', payload: deflateRawSync(bytes, { windowBits: 12 }) });
  }
  const far = clusterBits === 9 ? 70 : 11;
  clusters.set(far, { kind: 'data', bytes: noiseOf(5, size) });
  guest.set(far, noiseOf(5, size));
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
  ['extensions', { extensions: [{ type: 0x0badcafe, data: noiseOf(2, 13) }] }],
  ['snapshots', { snapshots: [1, 2].map((id) => ({ id: `${id}`, name: `snapshot ${id}`, dateSec: 1_700_000_000 })) }],
];

test.each(plans)('qemu-img finds an image with %s clean and reads it as planned', (name, plan) => {
  const clusterBits = plan.clusterBits ?? 16;
  const { clusters, guest } = cells(clusterBits);
  const image = buildImage({ ...plan, clusters });
  const file = `${name.replaceAll(' ', '-')}.qcow2`;
  folder.put(file, image.bytes);

  const report = JSON.parse(folder.img('check', '-f', 'qcow2', '--output=json', file));
  expect(report).toMatchObject({ 'check-errors': 0, 'compressed-clusters': 4 });
  expect(report.corruptions ?? 0).toBe(0);
  expect(report.leaks ?? 0).toBe(0);

  const raw = folder.raw(file);
  const expected = new Uint8Array(raw.length);
  for (const [index, bytes] of guest) expected.set(bytes, index * image.clusterSize);
  expect(Buffer.compare(raw, expected)).toBe(0);

  const info = JSON.parse(folder.img('info', '-f', 'qcow2', '--output=json', file));
  expect((info.snapshots ?? []).map((snapshot: { name: string }) => snapshot.name)).toEqual(
    (plan.snapshots ?? []).map((snapshot) => snapshot.name),
  );
});

test('version 2, with a backing name', () => {
  const image = buildImage({
    version: 2,
    backingName: 'nowhere.raw',
    clusters: new Map([[1, { kind: 'data', bytes: noiseOf(9, 9) }]]),
  });
  folder.put('v2.qcow2', image.bytes);
  const info = JSON.parse(folder.img('info', '-f', 'qcow2', '--output=json', 'v2.qcow2'));
  expect(info).toMatchObject({ 'backing-filename': 'nowhere.raw', 'format-specific': { data: { compat: '0.10' } } });
});
