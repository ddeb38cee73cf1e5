/**
 * Resizing beside `qemu-img resize`: the same image is resized by both, step by step, with writes in between. The disks
 * have the same size and the same bytes, QEMU finds both images clean, and it reads their bitmaps and snapshots.
 */
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { put } from '../support/big-endian.js';
import { dirtyRanges } from '../support/dirty-ranges.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, filled } from '../support/image-builder.js';
import { mixedDisk } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuJudges } from '../support/qemu-judges.js';
import { runToolOrThrow } from '../support/run-tool.js';
import { CASES, type Case, FILLED, fill, GIB, IMAGE, KIB, MIB, write } from './cases.js';

const ours = new QemuFolder('resize-ours');
const theirs = new QemuFolder('resize-theirs');
const both = [ours, theirs] as const;

/** Makes the image in one of the folders; images of the same case are alike. */
function make(folder: QemuFolder, { options, size, prepare, backing, compressed }: Case): void {
  const set = options === '' ? [] : ['-o', options];
  if (compressed) {
    folder.put('source.raw', mixedDisk(3, size, 1536));
    folder.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', ...set, 'source.raw', IMAGE);
  } else {
    if (backing?.format === 'raw') folder.put('base', backing.bytes);
    if (backing?.format === 'qcow2') {
      folder.put('base.raw', backing.bytes);
      folder.img('convert', '-f', 'raw', '-O', 'qcow2', 'base.raw', 'base');
    }
    const over = backing === undefined ? [] : ['-b', 'base', '-F', backing.format];
    folder.img('create', '-q', '-f', 'qcow2', ...set, ...over, IMAGE, String(size));
  }
  prepare?.(folder);
}

/** Opens the image of our folder, lets `work` change it, and puts it back. */
async function changed(
  { options, backing }: Pick<Case, 'options' | 'backing'>,
  work: (image: Qcow2Image) => Promise<void>,
): Promise<void> {
  const device = bufferDevice(ours.get(IMAGE));
  const data = options.includes('data_file=') ? bufferDevice(ours.get('data.raw')) : null;
  const image = await Qcow2Image.open(device, {
    mode: 'readwrite',
    resolve: async ({ kind }) =>
      kind === 'data' ? data! : { source: ours.get('base'), format: backing?.format ?? 'raw' },
  });
  await work(image);
  const dataBytes = (): Uint8Array | undefined => data?.bytes();
  await image.flush();
  const bytes = dataBytes();
  await image.close();
  ours.put(IMAGE, device.bytes());
  if (bytes !== undefined) ours.put('data.raw', bytes);
}

/**
 * Zeroes what QEMU leaves behind a disk that it shrinks from `before` bytes, in its last cluster, and shows again when
 * it grows the disk: we do not.
 */
function hideTail({ options }: Case, folder: QemuFolder, before: number, size: number): void {
  const [, digits, unit] = /cluster_size=(\d+)([kM]?)/.exec(options) ?? ['', '64', 'k'];
  const cluster = Number(digits) * { '': 1, k: KIB, M: MIB }[unit as '' | 'k' | 'M'];
  const end = Math.min(before, Math.ceil(size / cluster) * cluster);
  if (end > size) fill(folder, write(size, end - size, 0));
}

/** What QEMU says of the image in a folder. */
function info(folder: QemuFolder): { 'virtual-size': number; 'format-specific': { data: { bitmaps?: unknown[] } } } {
  return JSON.parse(folder.img('info', '--output=json', IMAGE));
}

/** Our image is clean, and holds the same as QEMU's. */
function expectAlike({ bitmaps, snapshots }: Case, size: number): void {
  expect(ours.tryImg('check', '-f', 'qcow2', IMAGE)).toMatchObject({ status: 0 });
  expect(info(ours)['virtual-size']).toBe(size);
  const compare = ours.tryImg('compare', '-f', 'qcow2', '-F', 'qcow2', ours.at(IMAGE), theirs.at(IMAGE));
  expect(compare, compare.out + compare.error).toMatchObject({ status: 0 });
  for (const name of snapshots ?? []) expectSame(ours.raw(IMAGE, name), theirs.raw(IMAGE, name));
  if (bitmaps === undefined) return;
  expect(info(ours)['format-specific'].data.bitmaps).toEqual(info(theirs)['format-specific'].data.bitmaps);
  for (const name of bitmaps)
    expect({ name, ranges: dirty(ours, name) }).toEqual({ name, ranges: dirty(theirs, name) });
}

function dirty(folder: QemuFolder, name: string): unknown {
  const run = (tool: string, args: readonly string[]): string =>
    tool === 'qemu-img' ? folder.img(...args) : runToolOrThrow(tool, args, folder.path);
  return dirtyRanges(run, IMAGE, name);
}

describe('resizing as qemu-img does', () => {
  it.each(CASES.map((each) => [each.name, each] as const))(
    '%s',
    async (_, each) => {
      for (const folder of both) make(folder, each);
      for (const [step, size] of each.sizes.entries()) {
        const before = each.sizes[step - 1] ?? each.size;
        await changed(each, (image) => image.resize(size, { shrink: true }));
        if (each.bitmaps === undefined) hideTail(each, theirs, before, size);
        theirs.img('resize', '-q', '-f', 'qcow2', '--shrink', IMAGE, String(size));
        // What one step leaves behind is there at the next ones, too.
        if (qemuJudges(each.sizes.length - 1 - step, 3)) expectAlike(each, size);
        if (step % 3 !== 1) continue;
        const at = Math.max(0, size - 70 * 512);
        const length = Math.min(size, 20 * 512);
        await changed(each, (image) => image.write(at, new Uint8Array(length).fill(step + 100)));
        fill(theirs, write(at, length, step + 100));
        // Each goes on with what the other has written, too.
        for (const folder of both) fill(folder, write(0, 512, step));
      }
    },
    120_000,
  );
});

describe('what qemu-img does not do', () => {
  const each = { name: '', options: '', size: MIB + 512, sizes: [] } as const;

  it('shrinks to nothing and grows again, with snapshots but without bitmaps, and shows zeros', async () => {
    make(ours, {
      ...each,
      options: 'cluster_size=4k',
      prepare: (folder) => {
        folder.img('bitmap', '--add', IMAGE, 'follows');
        FILLED(folder);
        folder.img('snapshot', '-c', 'one', IMAGE);
      },
    });
    const before = ours.raw(IMAGE);
    const toNothing = () => changed(each, (image) => image.resize(0, { shrink: true }));
    // QEMU opens no image with a bitmap of no bits.
    await expect(toNothing()).rejects.toMatchObject({ code: 'unsupported' });
    ours.img('bitmap', '--remove', IMAGE, 'follows');
    await toNothing();
    await changed(each, (image) => image.resize(3 * MIB));
    expect(ours.tryImg('check', '-f', 'qcow2', IMAGE)).toMatchObject({ status: 0 });
    expectSame(ours.raw(IMAGE), new Uint8Array(3 * MIB));
    // QEMU shows a snapshot at the size that the disk has.
    expectSame(ours.raw(IMAGE, 'one').subarray(0, before.length), before);
  });

  it('hides the bytes that were cut, also from QEMU when it grows the disk', async () => {
    make(ours, { ...each, prepare: FILLED });
    await changed(each, (image) => image.resize(512 * 3, { shrink: true }));
    ours.img('resize', '-q', '-f', 'qcow2', IMAGE, String(MIB));
    const expected = new Uint8Array(MIB).fill(1, 0, 512 * 3);
    expectSame(ours.raw(IMAGE), expected);
  });

  it.each(['raw', 'qcow2'] as const)('grows a version 2 disk over a longer %s backing file', async (format) => {
    const bytes = mixedDisk(7, 3 * MIB, 1536);
    const over = { ...each, options: 'compat=0.10,cluster_size=4k', backing: { bytes, format } };
    make(ours, over);
    await changed(over, (image) => image.resize(2 * MIB + 512));
    expect(ours.tryImg('check', '-f', 'qcow2', IMAGE)).toMatchObject({ status: 0 });
    const expected = new Uint8Array(2 * MIB + 512);
    expected.set(bytes.subarray(0, each.size));
    expectSame(ours.raw(IMAGE), expected);
  });

  it('goes back to a snapshot of another size', async () => {
    make(ours, { ...each, options: 'cluster_size=512', prepare: FILLED });
    ours.img('snapshot', '-c', 'one', IMAGE);
    const before = ours.raw(IMAGE);
    await changed(each, (image) => image.resize(512 * 5, { shrink: true }));
    ours.img('snapshot', '-a', 'one', IMAGE);
    expectSame(ours.raw(IMAGE), before);
    expect(ours.tryImg('check', '-f', 'qcow2', IMAGE)).toMatchObject({ status: 0 });
  });
});

describe('the limits of the format', () => {
  it.each([
    ['512', 128 * GIB],
    ['64k', 2048 * 1024 * GIB],
  ] as const)('grows clusters of %s to %d bytes, as QEMU does, and refuses more', async (cluster, size) => {
    const each = { name: '', options: `cluster_size=${cluster}`, size: MIB, sizes: [], prepare: FILLED };
    for (const folder of both) make(folder, { ...each, prepare: (other) => fill(other, write(0, 300 * KIB, 1)) });
    await changed(each, async (image) => {
      await expect(image.resize(size + 512)).rejects.toThrow(RangeError);
      expect(image.size).toBe(MIB);
      await image.resize(size);
      await image.write(size - 512, new Uint8Array(512).fill(7));
    });
    expect(theirs.tryImg('resize', '-q', '-f', 'qcow2', IMAGE, String(size + 512)).status).not.toBe(0);
    theirs.img('resize', '-q', '-f', 'qcow2', IMAGE, String(size));
    expect(ours.tryImg('check', '-f', 'qcow2', IMAGE)).toMatchObject({ status: 0 });
    expect(info(ours)['virtual-size']).toBe(size);
    expect(ours.io(IMAGE, `read -P 7 ${size - 512} 512`, `read -P 1 0 ${300 * KIB}`)).not.toContain('failed');
  });
});

describe('what is mapped past the end of the disk', () => {
  it.each([9, 12])('is given up when a disk of clusters of 2^%d bytes grows', async (clusterBits) => {
    const clusterSize = 2 ** clusterBits;
    const reach = (clusterSize / 8) * clusterSize;
    const clusters = new Map(
      [0, 1, reach / clusterSize - 1, reach / clusterSize + 3, (2 * reach) / clusterSize].map((cluster) => {
        return [cluster, filled(cluster + 1, clusterSize)] as const;
      }),
    );
    const { bytes } = buildImage({ clusterBits, size: 3 * reach, clusters });
    const size = 2 * clusterSize - 512;
    // The header of a longer disk says that it is shorter: QEMU has kept the state of machines behind it.
    put(bytes, 24, 8, size);
    const device = bufferDevice(bytes);
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.resize(3 * reach + 512);
    const expected = new Uint8Array(3 * reach + 512);
    expected.fill(1, 0, clusterSize).fill(2, clusterSize, size);
    const into = new Uint8Array(expected.length).fill(0xee);
    await image.read(0, into);
    expectSame(into, expected);
    await image.close();
    ours.put(IMAGE, device.bytes());
    expect(ours.tryImg('check', '-f', 'qcow2', IMAGE)).toMatchObject({ status: 0 });
    expectSame(ours.raw(IMAGE), expected);
  });
});
