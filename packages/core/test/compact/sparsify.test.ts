/** Sparsifies images of every kind: what reads as zeros is released, and nothing reads differently. */
import { describe, expect, test } from 'vitest';
import { bufferDevice, type Disk, Qcow2Image } from '../../src/index.js';
import { KINDS, type Kind, make } from '../model/kinds.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const folder = new QemuFolder('sparsify');
const NAMED = KINDS.map((kind) => [kind.name, kind] as const);

/** Bytes that are stored and read as zeros, in units of allocation; none where a snapshot shares them. */
async function storedZeros(disk: Disk, unit: number): Promise<number> {
  let bytes = 0;
  for await (const { start, length, depth, data } of disk.map()) {
    if (!data || depth > 0) continue;
    const contents = await disk.read(start, length);
    for (let at = 0; at < length; at += unit - ((start + at) % unit)) {
      const end = Math.min(length, at + unit - ((start + at) % unit));
      if (contents.subarray(at, end).every((byte) => byte === 0)) bytes += end - at;
    }
  }
  return bytes;
}

/** Writes zeros and other bytes, some of them within one cluster, and some whole clusters of zeros. */
async function fill(image: Qcow2Image, disk: Uint8Array, { unit, clusterSize, size }: Kind): Promise<void> {
  const next = numbers(unit);
  for (let at = 0; at < size; at += unit) {
    const isZero = Math.floor(at / clusterSize) % 3 === 0 || next() % 2 === 0;
    const bytes = isZero ? new Uint8Array(Math.min(unit, size - at)) : noiseOf(at + 1, Math.min(512, size - at));
    await image.write(at, bytes);
    disk.set(bytes, at);
  }
}

describe('sparsifying', () => {
  test.each(NAMED)('of %s releases zeros', async (_, kind) => {
    const made = make(folder, kind);
    const file = bufferDevice(made.image);
    const data = made.data === null ? undefined : bufferDevice(made.data);
    const image = await Qcow2Image.open(file, {
      mode: 'readwrite',
      resolve: async (reference) => (reference.kind === 'data' ? data : made.files.get(reference.name)),
    });
    const disk = made.disk.slice();
    await fill(image, disk, kind);
    const refused = kind.dataFile || !kind.discards;
    const before = await storedZeros(image, kind.unit);
    expect(before).toBeGreaterThan(0);
    const { released } = await image.sparsify();
    expectSame(await image.read(0, image.size), disk);
    expect((await image.check()).findings).toEqual([]);
    if (refused) expect(released).toBe(0);
    else {
      expect(released).toBeGreaterThan(0);
      expect(await storedZeros(image, kind.unit)).toBe(0);
    }
    expect(await image.sparsify()).toEqual({ released: 0 });
    const { newSize, oldSize } = await image.compact();
    if (!refused) expect(newSize).toBeLessThan(oldSize);
    expectSame(await image.read(0, image.size), disk);
    const bytes = file.bytes();
    await image.close();
    expect(bytes.length).toBe(newSize);
    if (kind.dataFile) return;
    folder.put('sparse.qcow2', bytes);
    folder.img('check', '-q', 'sparse.qcow2');
  });
});
