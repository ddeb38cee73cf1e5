import { deflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { QemuFolder } from '../../packages/core/test/support/qemu.js';
import { makeSample, SAMPLE_SIZE } from '../src/welcome/sample-image.js';

const folder = new QemuFolder('sample');

beforeAll(async () => {
  folder.put('sample.qcow2', await makeSample(async (bytes) => deflateRawSync(bytes)));
});

describe('the sample image, judged by qemu-img', () => {
  it('is clean', () => {
    const report = JSON.parse(folder.img('check', '--output=json', 'sample.qcow2'));
    expect(report).not.toHaveProperty('corruptions');
    expect(report).not.toHaveProperty('leaks');
    expect(report['compressed-clusters']).toBeGreaterThan(40);
  });

  it('has the size, the snapshot, and every kind of cluster', () => {
    const info = JSON.parse(folder.img('info', '--output=json', 'sample.qcow2'));
    expect(info['virtual-size']).toBe(SAMPLE_SIZE);
    expect(info.snapshots.map((snapshot: { name: string }) => snapshot.name)).toEqual(['before the log']);
    const map: { present: boolean; zero: boolean; data: boolean }[] = JSON.parse(
      folder.img('map', '--output=json', 'sample.qcow2'),
    );
    expect(map.some((extent) => extent.present && extent.zero)).toBe(true);
    expect(map.some((extent) => !extent.present)).toBe(true);
    expect(map.some((extent) => extent.data)).toBe(true);
  });

  it('contains a file system with the log, and a snapshot without it', () => {
    const now = Buffer.from(folder.raw('sample.qcow2'));
    expect(now.subarray(54, 59).toString()).toBe('FAT16');
    expect(now.includes('00000100 disk0: cluster')).toBe(true);
    expect(now.includes('LOG     TXT')).toBe(true);
    const before = Buffer.from(folder.raw('sample.qcow2', 'before the log'));
    expect(before.includes('LOG     TXT')).toBe(false);
    expect(before.includes('This disk was made in your browser')).toBe(true);
  });
});
