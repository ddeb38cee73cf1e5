/** The tests of the library that this one continues, on writing, and its faults: each with its guard here. */
import { describe, expect, it, vi } from 'vitest';
import { bufferDevice, type CreateOptions, Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, filled } from '../support/image-builder.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = MIB * MIB;
const PIB = 1024 * TIB;

const folder = new QemuFolder('seed');

async function create(options: CreateOptions): Promise<{ device: ReturnType<typeof bufferDevice>; image: Qcow2Image }> {
  const device = bufferDevice();
  return { device, image: await Qcow2Image.create(device, options) };
}

async function readAt(image: Qcow2Image, offset: number, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length).fill(0xee);
  await image.read(offset, into);
  return into;
}

/** What qemu-img says of an image that is in memory. */
function judge(device: ReturnType<typeof bufferDevice>): void {
  folder.put('image.qcow2', device.bytes());
  const check = folder.tryImg('check', '-f', 'qcow2', 'image.qcow2');
  expect(check, check.out + check.error).toMatchObject({ status: 0 });
}

describe('writing and reading', () => {
  const places = [0, 64 * KIB, 512 * MIB, 4 * TIB].flatMap((base) =>
    [0, 512, -512, 4096, -4096, 64 * KIB, -64 * KIB].map((beside) => base + beside),
  );
  const fromBothEnds = [...places.filter((at) => at >= 0), ...places.filter((at) => at >= 512).map((at) => PIB - at)];
  const unique = [...new Set(fromBothEnds)];

  it('reads what was written, near borders, at both ends of a pebibyte', async () => {
    const { image } = await create({ size: PIB });
    for (const [index, at] of unique.entries()) {
      const length = Math.min(PIB - at, [512, 4096, 70_000][index % 3]!);
      await image.write(at, noiseOf(index, length));
      expectSame(await readAt(image, at, length), noiseOf(index, length));
    }
    await image.close();
  });

  it('reads zeros after a discard there, and unchanged adjacent bytes', async () => {
    const { image, device } = await create({ size: PIB });
    for (const at of unique) {
      const around = Math.max(0, at - 64 * KIB);
      const length = Math.min(PIB - around, 256 * KIB);
      const bytes = noiseOf(at % 1000, length);
      await image.write(around, bytes);
      const cut = Math.min(65_536 + 512, PIB - at);
      await image.discard(at, cut);
      bytes.fill(0, at - around, at - around + cut);
      expectSame(await readAt(image, around, length), bytes);
      await image.discard(around, length);
      expectSame(await readAt(image, around, length), new Uint8Array(length));
    }
    await image.close();
    // The L1 table of a pebibyte takes 16 MiB.
    expect(device.size).toBeLessThan(64 * MIB);
    judge(device);
  });

  it.each([KIB, MIB, PIB])('creates a disk of %i bytes that qemu-img finds clean, empty and written', async (size) => {
    const { image, device } = await create({ size });
    judge(device);
    await image.write(0, noiseOf(1, 512));
    await image.write(size - 512, noiseOf(2, 512));
    await image.close();
    judge(device);
    expect(JSON.parse(folder.img('info', '--output=json', 'image.qcow2'))['virtual-size']).toBe(size);
    expect(folder.io('image.qcow2', 'read 0 512', `read ${size - 512} 512`)).toContain('512/512');
  });

  it('is correct in every sector after 1024 rounds of writing and discarding over 128 clusters', async () => {
    const clusterSize = 4096;
    const size = 128 * clusterSize;
    const { image, device } = await create({ size, clusterSize });
    const disk = new Uint8Array(size);
    const next = numbers(20);
    for (let round = 0; round < 1024; round++) {
      const first = next() % 128;
      const count = 1 + (next() % Math.min(16, 128 - first));
      const [offset, length] = [first * clusterSize, count * clusterSize];
      if (next() % 2 === 0) {
        const bytes = noiseOf(round, length);
        await image.write(offset, bytes);
        disk.set(bytes, offset);
      } else {
        await image.discard(offset, length);
        disk.fill(0, offset, offset + length);
      }
      if (round % 64 === 63) await image.flush();
      expectSame(await readAt(image, 0, size), disk);
    }
    await image.close();
    judge(device);
    folder.put('disk.raw', disk);
    folder.img('compare', '-f', 'qcow2', '-F', 'raw', 'image.qcow2', 'disk.raw');
    // The 128 clusters, the tables, and what was in quarantine for at most 64 rounds.
    expect(device.size).toBeLessThan(4 * size);
  });
});

describe('faults of the predecessor', () => {
  const CLUSTER = 65_536;

  async function opened(
    cells: [number, Cell][],
  ): Promise<{ image: Qcow2Image; device: ReturnType<typeof bufferDevice> }> {
    const device = bufferDevice(buildImage({ size: MIB, clusters: new Map(cells) }).bytes);
    return { device, image: await Qcow2Image.open(device, { mode: 'readwrite' }) };
  }

  it('reads a cluster with the zero flag as zeros, and writes it without damage (it read as the header)', async () => {
    const { image, device } = await opened([
      [0, { kind: 'zero', allocated: false }],
      [1, filled(7)],
    ]);
    expectSame(await readAt(image, 0, CLUSTER), new Uint8Array(CLUSTER));
    await image.write(1000, noiseOf(1, 100));
    const expected = new Uint8Array(CLUSTER);
    expected.set(noiseOf(1, 100), 1000);
    expectSame(await readAt(image, 0, CLUSTER), expected);
    await image.close();
    judge(device);
    expectSame(folder.raw('image.qcow2').subarray(0, CLUSTER), expected);
  });

  it('reads an allocated zero cluster as zeros, also around new bytes (old bytes appeared)', async () => {
    const { image, device } = await opened([[0, filled(9)]]);
    await image.writeZeroes(0, CLUSTER);
    const before = device.size;
    expectSame(await readAt(image, 0, CLUSTER), new Uint8Array(CLUSTER));
    await image.write(512, noiseOf(3, 512));
    const expected = new Uint8Array(CLUSTER);
    expected.set(noiseOf(3, 512), 512);
    expectSame(await readAt(image, 0, CLUSTER), expected);
    expect(device.size).toBe(before); // in place: the cluster was kept for it
    await image.close();
    judge(device);
    expectSame(folder.raw('image.qcow2').subarray(0, CLUSTER), expected);
  });

  it('keeps the name of the backing file, and reads its data (it was ignored, and lost)', async () => {
    const base = noiseOf(5, MIB);
    folder.put('base.raw', base);
    folder.img('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'over.qcow2');
    const device = bufferDevice(folder.get('over.qcow2'));
    const resolve = async () => ({ source: base, format: 'raw' as const });
    const image = await Qcow2Image.open(device, { mode: 'readwrite', resolve });
    await image.write(100, noiseOf(6, 10));
    await image.close();
    folder.put('over.qcow2', device.bytes());
    const info = JSON.parse(folder.img('info', '--output=json', 'over.qcow2'));
    expect(info).toMatchObject({ 'backing-filename': 'base.raw', 'backing-filename-format': 'raw' });
    const expected = base.slice();
    expected.set(noiseOf(6, 10), 100);
    expectSame(folder.raw('over.qcow2'), expected);
  });

  it('refuses to write an image that is marked corrupt (the mark was ignored)', async () => {
    const bytes = buildImage({ size: MIB, incompatible: 2n }).bytes;
    const opening = Qcow2Image.open(bufferDevice(bytes), { mode: 'readwrite' });
    await expect(opening).rejects.toMatchObject({ name: 'Qcow2Error', code: 'needs-repair' });
  });

  it('does not change the file by opening, reading and closing (it was changed)', async () => {
    const { bytes } = buildImage({ size: MIB, compatible: 1n, autoclear: 4n, clusters: new Map([[0, filled(1)]]) });
    for (const mode of ['read', 'readwrite'] as const) {
      const device = bufferDevice(bytes);
      const calls = [vi.spyOn(device, 'write'), vi.spyOn(device, 'flush')];
      const image = await Qcow2Image.open(device, { mode });
      await readAt(image, 0, MIB);
      await image.flush();
      await image.close();
      expectSame(device.bytes(), bytes);
      for (const call of calls) expect(call).not.toHaveBeenCalled();
    }
  });

  it('does not reuse a cluster before the entry that frees it is flushed (it did)', async () => {
    const { image, device } = await opened([[0, filled(1)]]);
    const value = 1;
    await image.discard(0, CLUSTER);
    const before = device.bytes();
    for (let cluster = 1; cluster < 10; cluster++) await image.write(cluster * CLUSTER, noiseOf(cluster, CLUSTER));
    const old = indexOfFilled(before, value, CLUSTER);
    expectSame(device.bytes().subarray(old, old + CLUSTER), new Uint8Array(CLUSTER).fill(value));
    await image.flush();
    await image.write(10 * CLUSTER, noiseOf(10, CLUSTER));
    expectSame(device.bytes().subarray(old, old + CLUSTER), noiseOf(10, CLUSTER));
    await image.close();
    judge(device);
  });

  /** Where in a file the cluster lies that is full of a value. */
  function indexOfFilled(bytes: Uint8Array, value: number, clusterSize: number): number {
    for (let at = 0; at < bytes.length; at += clusterSize) {
      if (bytes.subarray(at, at + clusterSize).every((byte) => byte === value)) return at;
    }
    throw new Error('no cluster holds it');
  }
});
