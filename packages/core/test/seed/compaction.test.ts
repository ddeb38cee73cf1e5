/** The tests of the library that this one continues, on compaction, and its faults: each with its guard here. */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { get } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, filled } from '../support/image-builder.js';
import { mixedDisk, noiseOf, numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { SlowDevice } from '../support/slow-device.js';

const KIB = 1024;

const folder = new QemuFolder('seed-compaction');

/** What qemu-img says of an image that is in memory. */
function judge(bytes: Uint8Array): void {
  folder.put('image.qcow2', bytes);
  const check = folder.tryImg('check', '-f', 'qcow2', 'image.qcow2');
  expect(check, check.out + check.error).toMatchObject({ status: 0 });
}

/** The host offsets of the L2 tables that the active L1 table refers to. */
function l2Tables(bytes: Uint8Array): number[] {
  const at = Number(get(bytes, 40, 8));
  const entries = Array.from({ length: Number(get(bytes, 36, 4)) }, (_, index) => get(bytes, at + index * 8, 8));
  return entries.map((entry) => Number(entry & 0x00ff_ffff_ffff_fe00n)).filter((host) => host > 0);
}

describe('compaction', () => {
  const clusterSize = 4 * KIB;
  const reach = (clusterSize / 8) * clusterSize;

  it.each([0, 1, 2, 16_384])('moves %i clusters and their L2 tables to the front', async (count) => {
    const tables = Math.max(1, Math.ceil((count * clusterSize) / reach));
    const device = bufferDevice();
    const image = await Qcow2Image.create(device, { size: 2 * tables * reach, clusterSize });
    const live = tables * reach;
    const bytes = noiseOf(count, count * clusterSize);
    for (const start of [0, live]) await image.write(start, bytes);
    await image.flush();
    const before = l2Tables(device.bytes());
    await image.discard(0, live);
    const { copied, updated, oldSize, newSize } = await image.compact();
    const after = device.bytes();
    expect(l2Tables(after)).toHaveLength(count === 0 ? 0 : tables);
    if (count === 0) expect([copied, updated, newSize]).toEqual([0, 0, oldSize]);
    else {
      expect(copied).toBeGreaterThanOrEqual(count + tables);
      expect(l2Tables(after).filter((host) => before.slice(tables).includes(host))).toEqual([]);
      expect(newSize).toBeLessThanOrEqual(oldSize - (count + tables) * clusterSize);
    }
    expect(after.length).toBe(newSize);
    expectSame(await image.read(live, bytes.length), bytes);
    expectSame(await image.read(0, bytes.length), new Uint8Array(bytes.length));
    await image.close();
    judge(after);
  });

  it('in the middle of 1024 rounds of writing and discarding leaves every sector as it must be', async () => {
    const size = 128 * 512;
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size, clusterSize: 512 })).close();
    const next = numbers(31);
    const file = bufferDevice(device.bytes());
    const image = await Qcow2Image.open(new SlowDevice(file, next), { mode: 'readwrite' });
    const disk = new Uint8Array(size);
    let running: Promise<unknown> | null = null;
    let meanwhile = 0;
    let copied = 0;
    for (let round = 0; round < 1024; round++) {
      if (running === null) {
        running = image.compact().then((report) => {
          copied += report.copied;
          running = null;
        });
      } else meanwhile++;
      const first = next() % 128;
      const offset = first * 512;
      const length = (1 + (next() % Math.min(16, 128 - first))) * 512;
      const bytes = next() % 2 === 0 ? noiseOf(round, length) : null;
      disk.set(bytes ?? new Uint8Array(length), offset);
      await (bytes === null ? image.discard(offset, length) : image.write(offset, bytes));
      expectSame(await image.read(0, size), disk);
    }
    await running;
    expect(meanwhile).toBeGreaterThan(500);
    expect(copied).toBeGreaterThan(100);
    const { newSize } = await image.compact();
    // The header, both tables of refcounts, an L1 table and two L2 tables.
    expect(newSize).toBeLessThanOrEqual(size + 6 * 512);
    expectSame(await image.read(0, size), disk);
    await image.close();
    judge(file.bytes());
  });
});

describe('faults of the predecessor in compaction', () => {
  it('keeps snapshots, which share clusters with the disk and among themselves (they were destroyed)', async () => {
    const size = 256 * KIB;
    folder.put('disk.raw', noiseOf(1, size));
    folder.img('convert', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=4k', 'disk.raw', 'image.qcow2');
    const contents = new Map<string, Uint8Array>();
    for (const name of ['one', 'two']) {
      folder.img('snapshot', '-c', name, 'image.qcow2');
      contents.set(name, folder.raw('image.qcow2', name));
      folder.io('image.qcow2', `write -P ${name.length} ${name === 'one' ? 0 : 64}k 100k`, 'discard 200k 32k');
    }
    const disk = folder.raw('image.qcow2');
    // What is before a snapshot becomes free, so that what it shares must move.
    folder.img('snapshot', '-d', 'one', 'image.qcow2');
    contents.delete('one');
    const device = bufferDevice(folder.get('image.qcow2'));
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    const { copied, newSize, oldSize } = await image.compact();
    expect(copied).toBeGreaterThan(0);
    expect(newSize).toBeLessThan(oldSize);
    await image.close();
    judge(device.bytes());
    expectSame(folder.raw('image.qcow2'), disk);
    for (const [name, content] of contents) expectSame(folder.raw('image.qcow2', name), content);
  });

  it('keeps a backing file, its name and its data', async () => {
    const base = mixedDisk(2, 256 * KIB, 1536);
    folder.put('base.raw', base);
    folder.img('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', '-o', 'cluster_size=4k', 'image.qcow2');
    folder.io('image.qcow2', 'write -P 1 0 100k', 'write -P 2 150k 50k');
    const device = bufferDevice(folder.get('image.qcow2'));
    const resolve = async () => ({ source: base, format: 'raw' as const });
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve });
    await image.discard(0, 100 * KIB);
    expect((await image.compact()).copied).toBeGreaterThan(0);
    await image.close();
    judge(device.bytes());
    const info = JSON.parse(folder.img('info', '--output=json', 'image.qcow2'));
    expect(info).toMatchObject({ 'backing-filename': 'base.raw', 'backing-filename-format': 'raw' });
    const expected = base.slice().fill(0, 0, 100 * KIB);
    expectSame(folder.raw('image.qcow2'), expected.fill(2, 150 * KIB, 200 * KIB));
  });

  it('moves clusters that read as zeros, and still reads them as zeros (old bytes appeared)', async () => {
    const clusterSize = 4 * KIB;
    const zeros = { kind: 'zero', allocated: true } as const;
    const cells = Array.from(
      { length: 16 },
      (_, index) => [index, index < 8 ? filled(7, clusterSize) : zeros] as const,
    );
    const { bytes } = buildImage({ size: 16 * clusterSize, clusterBits: 12, clusters: new Map(cells) });
    const device = bufferDevice(bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.discard(0, 8 * clusterSize);
    expect((await image.compact()).copied).toBeGreaterThanOrEqual(8);
    await image.write(9 * clusterSize, noiseOf(1, 512));
    const expected = new Uint8Array(16 * clusterSize);
    expected.set(noiseOf(1, 512), 9 * clusterSize);
    expectSame(await image.read(0, expected.length), expected);
    await image.close();
    judge(device.bytes());
    expectSame(folder.raw('image.qcow2'), expected);
  });
});
