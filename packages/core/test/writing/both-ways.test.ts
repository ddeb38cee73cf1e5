/** The other direction: images that QEMU wrote, written here, written by QEMU again, and read here. */
import { describe, expect, it } from 'vitest';
import { fileDevice } from '../../node/index.js';
import { Qcow2Image } from '../../src/index.js';
import { expectSame } from '../support/expect-same.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';

const KIB = 1024;
const SIZE = 4 * 1024 * KIB;
const folder = new QemuFolder('both-ways');

const OPTIONS = [
  'cluster_size=64k',
  'cluster_size=512',
  'cluster_size=4k,compat=0.10',
  'cluster_size=16k,extended_l2=on',
  'cluster_size=4k,lazy_refcounts=on',
  'cluster_size=4k,refcount_bits=64',
  'cluster_size=2M',
  'cluster_size=64k,data_file=data.raw',
];

/** Opens the image in the folder for writing: its devices are files, as QEMU's are. */
function open(): Promise<Qcow2Image> {
  return Qcow2Image.open(fileDevice(folder.at('image.qcow2')), {
    mode: 'readwrite',
    resolve: async ({ kind, name }) =>
      kind === 'data' ? fileDevice(folder.at(name)) : { source: base, format: 'raw' },
  });
}

const base = noiseOf(77, SIZE - 100 * 512);

/** Commands of qemu-io, and what they do to the disk. */
function byQemu(next: () => number, disk: Uint8Array): string[] {
  return Array.from({ length: 6 }, () => {
    const offset = (next() % (SIZE / 512)) * 512;
    const length = Math.min(SIZE - offset, (1 + (next() % 400)) * 512);
    const value = next() % 256;
    const kind = next() % 3;
    disk.fill(kind === 0 ? value : 0, offset, offset + length);
    if (kind === 0) return `write -P ${value} ${offset} ${length}`;
    return kind === 1 ? `write -z ${offset} ${length}` : `write -z -u ${offset} ${length}`;
  });
}

async function byUs(image: Qcow2Image, next: () => number, disk: Uint8Array): Promise<void> {
  for (let step = 0; step < 12; step++) {
    const offset = next() % SIZE;
    const length = Math.min(SIZE - offset, 1 + (next() % 200_000));
    if (next() % 3 > 0) {
      const bytes = noiseOf(next() % 1000, length);
      await image.write(offset, bytes);
      disk.set(bytes, offset);
    } else {
      await image.writeZeroes(offset, length, { unmap: next() % 2 === 0 });
      disk.fill(0, offset, offset + length);
    }
  }
}

describe.each(OPTIONS)('%s', (options) => {
  it.each(['alone', 'over a backing file', 'with snapshots'] as const)(
    'is written by QEMU and by this library in turns, %s',
    async (how) => {
      if (how === 'with snapshots' && options.includes('data_file')) return expectRefused(options);
      folder.put('base.raw', base);
      const behind = how === 'over a backing file' ? ['-b', 'base.raw', '-F', 'raw'] : [];
      folder.img('create', '-q', '-f', 'qcow2', '-o', options, ...behind, 'image.qcow2', String(SIZE));
      const disk = new Uint8Array(SIZE);
      if (behind.length > 0) disk.set(base);
      const next = numbers(options.length);
      const taken = new Map<string, Uint8Array>();
      for (let round = 0; round < 2; round++) {
        folder.io('image.qcow2', ...byQemu(next, disk));
        if (how === 'with snapshots') {
          folder.img('snapshot', '-c', `s${round}`, 'image.qcow2');
          taken.set(`s${round}`, disk.slice());
        }
        const image = await open();
        const into = new Uint8Array(SIZE);
        await image.read(0, into);
        expectSame(into, disk);
        await byUs(image, next, disk);
        await image.close();
        folder.img('check', '-f', 'qcow2', 'image.qcow2');
        expectSame(folder.raw('image.qcow2'), disk);
      }
      for (const [name, content] of taken) expectSame(folder.raw('image.qcow2', name), content);
      // QEMU frees what only the snapshots held, and the image goes on.
      for (const name of taken.keys()) folder.img('snapshot', '-d', name, 'image.qcow2');
      const image = await open();
      await byUs(image, next, disk);
      const into = new Uint8Array(SIZE);
      await image.read(0, into);
      expectSame(into, disk);
      await image.close();
      folder.img('check', '-f', 'qcow2', 'image.qcow2');
    },
  );
});

/** An image with a data file has no snapshots: QEMU says so. */
function expectRefused(options: string): void {
  folder.img('create', '-q', '-f', 'qcow2', '-o', options, 'image.qcow2', String(SIZE));
  expect(folder.tryImg('snapshot', '-c', 'one', 'image.qcow2').status).not.toBe(0);
}

describe('an image of 512-byte clusters that grows', () => {
  it('moves its refcount table repeatedly, and QEMU can write it afterwards', async () => {
    const size = 48 * 1024 * KIB;
    folder.img('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', 'image.qcow2', String(size));
    const image = await open();
    const disk = noiseOf(5, size);
    const chunk = 1_000_000; // no multiple of a cluster
    for (let at = 0; at < size; at += chunk) await image.write(at, disk.subarray(at, at + chunk));
    await image.close();
    folder.img('check', '-f', 'qcow2', 'image.qcow2');
    folder.io('image.qcow2', 'write -P 3 1000k 3M', 'discard 20M 2M');
    disk.fill(3, 1000 * KIB, 4072 * KIB);
    disk.fill(0, 20 * 1024 * KIB, 22 * 1024 * KIB);
    folder.img('check', '-f', 'qcow2', 'image.qcow2');
    const again = await open();
    const into = new Uint8Array(size);
    await again.read(0, into);
    expectSame(into, disk);
    await again.discard(0, size);
    await again.flush();
    const before = again.info.fileSize;
    await again.write(0, disk.subarray(0, 16 * 1024 * KIB));
    expect(again.info.fileSize).toBe(before); // what was freed is used again
    await again.close();
    folder.img('check', '-f', 'qcow2', 'image.qcow2');
  });
});
