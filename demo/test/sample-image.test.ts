import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSample, SAMPLE_SIZE } from '../src/welcome/sample-image.js';

const folder = mkdtempSync(join(tmpdir(), 'qcow2-sample-'));
const image = join(folder, 'sample.qcow2');

function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { encoding: 'utf8' });
}

beforeAll(async () => {
  writeFileSync(image, await makeSample(async (bytes) => deflateRawSync(bytes)));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the sample image, judged by qemu-img', () => {
  it('is clean', () => {
    const report = JSON.parse(qemuImg('check', '--output=json', image));
    expect(report).not.toHaveProperty('corruptions');
    expect(report).not.toHaveProperty('leaks');
    expect(report['compressed-clusters']).toBeGreaterThan(40);
  });

  it('has the size, the snapshot, and every kind of cluster', () => {
    const info = JSON.parse(qemuImg('info', '--output=json', image));
    expect(info['virtual-size']).toBe(SAMPLE_SIZE);
    expect(info.snapshots.map((snapshot: { name: string }) => snapshot.name)).toEqual(['before the log']);
    const map: { present: boolean; zero: boolean; data: boolean }[] = JSON.parse(
      qemuImg('map', '--output=json', image),
    );
    expect(map.some((extent) => extent.present && extent.zero)).toBe(true);
    expect(map.some((extent) => !extent.present)).toBe(true);
    expect(map.some((extent) => extent.data)).toBe(true);
  });

  it('holds a file system with the log, and a snapshot without it', () => {
    const raw = join(folder, 'now.raw');
    qemuImg('convert', '-O', 'raw', image, raw);
    const now = readFileSync(raw);
    expect(now.subarray(54, 59).toString()).toBe('FAT16');
    expect(now.includes('00000100 disk0: cluster')).toBe(true);
    expect(now.includes('LOG     TXT')).toBe(true);
    qemuImg('convert', '-l', 'before the log', '-O', 'raw', image, raw);
    const before = readFileSync(raw);
    expect(before.includes('LOG     TXT')).toBe(false);
    expect(before.includes('This disk was made in your browser')).toBe(true);
  });
});
