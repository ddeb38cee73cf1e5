/** Refcounts that are damaged as a whole or as high as can be: checked, repaired, written. */
import { describe, expect, test } from 'vitest';
import {
  type BlockDevice,
  type BufferDevice,
  bufferDevice,
  type CheckReport,
  Qcow2Error,
  Qcow2Image,
} from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { mixed } from '../check/damages.js';
import { get, put } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { buildImage, type Cell, filled } from '../support/image-builder.js';
import { QemuFolder } from '../support/qemu.js';
import { asQemuChecks, qemuChecks } from '../support/qemu-check.js';
import { expectWhatWasLeft } from './what-was-left.js';

const folder = new QemuFolder('refcounts');
const CLUSTER = 65_536;
const MIB = 1024 * 1024;
const COPIED = 1n << 63n;
const OFFSET = 0x00ff_ffff_ffff_fe00n;

/** Repairs a device without losing anything; returns what was wrong before. */
async function repair(device: BlockDevice, fix: 'leaks' | 'all' = 'all'): Promise<CheckReport | undefined> {
  const image = await Qcow2Image.open(device, { mode: 'repair' });
  const { before, after, lostBytes, dropped } = await image.repair({ fix });
  await image.close();
  expect(after.findings).toEqual([]);
  expect({ lostBytes, dropped }).toEqual({ lostBytes: 0, dropped: [] });
  return before;
}

function expectClean(bytes: Uint8Array): void {
  folder.put('image.qcow2', bytes);
  expect(qemuChecks(folder.path, 'image.qcow2')).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
}

/** Clusters of data from 0 on, each of another byte. */
function dataClusters(count: number, size: number): Map<number, Cell> {
  return new Map(Array.from({ length: count }, (_, cluster) => [cluster, filled((cluster % 255) + 1, size)]));
}

/** A device that is as long as a file with a hole behind its bytes. */
function longer(device: BufferDevice, size: number): BlockDevice & Pick<BufferDevice, 'bytes'> {
  return {
    size,
    bytes: () => device.bytes(),
    read(transfers) {
      for (const { bytes } of transfers) bytes.fill(0);
      const parts = transfers.map(({ at, bytes }) => {
        return { at: Math.min(at, device.size), bytes: bytes.subarray(0, Math.max(0, device.size - at)) };
      });
      return device.read(parts);
    },
    write: (transfers) => device.write(transfers),
    truncate: () => {},
    flush: () => device.flush(),
  };
}

describe('a refcount table', () => {
  test('of no clusters at offset 0 is made anew, and the data are still there', async () => {
    const { bytes } = buildImage({ size: 64 * MIB, clusters: dataClusters(1, CLUSTER) });
    put(bytes, 48, 8, 0);
    put(bytes, 56, 4, 0);
    const device = bufferDevice(bytes);
    await repair(device);
    expectClean(device.bytes());
    expectSame(folder.raw('image.qcow2').subarray(0, CLUSTER), new Uint8Array(CLUSTER).fill(1));
  });

  test('gets a new block beside a data cluster that had none, and not over it', async () => {
    const size = 512;
    const perBlock = 256;
    const clusters = dataClusters(200, size);
    clusters.set(200, { kind: 'entry', entry: COPIED | BigInt(perBlock * size) });
    const built = buildImage({ clusterBits: 9, size: MIB, clusters });
    expect(built.bytes.length).toBeLessThanOrEqual(perBlock * size);
    const bytes = new Uint8Array((perBlock + 1) * size);
    bytes.set(built.bytes);
    bytes.fill(42, perBlock * size);
    const device = bufferDevice(bytes);
    await repair(device);
    expectClean(device.bytes());
    const image = await Qcow2Image.open(device.bytes());
    expectSame(await image.read(200 * size, size), new Uint8Array(size).fill(42));
    expectSame(await image.read(199 * size, size), new Uint8Array(size).fill(200));
  });

  test.each([
    ['past the end of the file, which has a refcount', 0x10_0000n, true],
    ['past the end of the file', 0x10_0000n, false],
    ['that ends at 2^63', 0x7fff_ffff_ffff_0000n, false],
    ['that ends at 2^64', 0xffff_ffff_ffff_0000n, false],
  ])('loses its entry for a block %s', async (_, offset, isCounted) => {
    const built = buildImage({ size: 64 * MIB });
    put(built.bytes, built.refcountTable + 8, 8, offset);
    if (isCounted) put(built.bytes, built.refcountBlocks[0]! + 2 * (Number(offset) / CLUSTER), 2, 1);
    const device = bufferDevice(built.bytes);
    expect((await repair(device))!.corruptions).toBeGreaterThan(0);
    expectClean(device.bytes());
  });

  test('loses its entry for a block that a refcount of one bit would have to count far past the end', async () => {
    const built = buildImage({ size: 64 * MIB, refcountOrder: 0 });
    put(built.bytes, built.refcountTable + 8, 8, 2 ** 36);
    put(built.bytes, built.refcountTable + 16, 8, 512);
    const device = bufferDevice(built.bytes);
    expect((await repair(device))!.corruptions).toBeGreaterThan(0);
    expectClean(device.bytes());
  });
});

describe('an image with free space behind it whose header has refcount 0', () => {
  const roomy = (): Uint8Array => {
    const built = buildImage({ clusterBits: 9, size: MIB, clusters: dataClusters(128, 512) });
    put(built.bytes, built.refcountBlocks[0]!, 2, 0);
    const bytes = new Uint8Array(built.bytes.length + 256 * 1024);
    bytes.set(built.bytes);
    return bytes;
  };

  test('does not get longer by its repair', async () => {
    const device = bufferDevice(roomy());
    const { size } = device;
    await repair(device);
    expect(device.size).toBeLessThanOrEqual(size);
    expectClean(device.bytes());
  });

  test('is repaired on a device that cannot grow', async () => {
    const device = bufferDevice(roomy());
    const { size } = device;
    const fixed: BlockDevice = {
      size,
      read: (transfers) => device.read(transfers),
      write(transfers) {
        if (transfers.some(({ at, bytes }) => at + bytes.length > size)) throw new Qcow2Error('no-space', 'Full.', {});
        return device.write(transfers);
      },
      truncate() {
        throw new Qcow2Error('no-space', 'The device has a fixed size.', {});
      },
      flush: () => device.flush(),
    };
    await repair(fixed);
    expectClean(device.bytes());
  });
});

describe('refcounts that have become narrower than the snapshots need', () => {
  /** Two, three and nine disks of the same clusters. */
  const disks = [1, 2, 8];
  const cases = [0, 1, 2].flatMap((order) => disks.map((snapshots) => ({ order, snapshots })));
  test.each(cases)('order $order, $snapshots snapshots: no copy is counted too often', async ({ order, snapshots }) => {
    const ids = Array.from({ length: snapshots }, (_, index) => ({ id: `${index + 1}`, name: `snapshot ${index}` }));
    const { bytes } = mixed({ snapshots: ids });
    put(bytes, 96, 4, order);
    const device = bufferDevice(bytes.slice());
    const dry = await repairDevice(bufferDevice(bytes.slice()), { fix: 'all', dryRun: true });
    const report = await repairDevice(device, { fix: 'all' });
    expect(report).toEqual(dry);
    expect(report).toMatchObject({ after: { findings: [] }, lostBytes: 0, dropped: [] });
    expectClean(device.bytes());
    await expectWhatWasLeft(bytes, device.bytes(), report);
    expect((await repairDevice(device, { fix: 'all' })).repairs).toEqual([]);
  });
});

describe('a refcount of 64 bits', () => {
  const WIDE = { size: MIB, refcountOrder: 6, clusters: dataClusters(1, CLUSTER) };
  /** The image with this refcount for its only cluster of data. */
  const counted = (refcount: bigint): Uint8Array<ArrayBuffer> => {
    const { bytes, entryAt, refcountBlocks } = buildImage(WIDE);
    const at = Number(get(bytes, entryAt(0), 8) & OFFSET);
    put(bytes, refcountBlocks[0]! + (at / CLUSTER) * 8, 8, refcount);
    put(bytes, entryAt(0), 8, at);
    return bytes;
  };

  test('of 2^63 is no reason to refuse a write, which copies the cluster', async () => {
    const device = bufferDevice(counted(1n << 63n));
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    await image.write(0, new Uint8Array(512).fill(7));
    await image.close();
    folder.put('image.qcow2', device.bytes());
    const theirs = qemuChecks(folder.path, 'image.qcow2');
    expect(theirs).toMatchObject({ corruptions: 0, checkErrors: 0 });
    const expected = new Uint8Array(CLUSTER).fill(7, 0, 512).fill(1, 512);
    expectSame(folder.raw('image.qcow2').subarray(0, CLUSTER), expected);
  });

  test('of 2^64 - 1 is a leak like any other, for QEMU and for us', async () => {
    const bytes = counted((1n << 64n) - 1n);
    folder.put('image.qcow2', bytes);
    const report = await (await Qcow2Image.open(bytes)).check();
    expect(report).toMatchObject({ leaks: 1, corruptions: 0 });
    expect(asQemuChecks(report)).toEqual(qemuChecks(folder.path, 'image.qcow2'));
    const device = bufferDevice(bytes);
    await repair(device, 'leaks');
    expectClean(device.bytes());
  });
});

test('a data cluster at 2^55 with clusters of 512 bytes, a multiple of 2^32 of them, is past the end', async () => {
  const clusters = new Map<number, Cell>([[0, { kind: 'entry', entry: COPIED | (1n << 55n) }]]);
  const { bytes } = buildImage({ clusterBits: 9, size: 512, clusters });
  const report = await (await Qcow2Image.open(bytes)).check();
  expect(report.corruptions).toBeGreaterThan(0);
  expect(report.findings[0]).toMatchObject({ fault: 'past-end', impact: 'data-missing' });
});

describe('a sparse file of 33 GiB, with refcounts of 64 bits for clusters of 512 bytes', () => {
  const LENGTH = 33 * 1024 * MIB;

  test('is repaired: new blocks come after the last cluster in use', { timeout: 60_000 }, async () => {
    const built = mixed({ clusterBits: 9, size: 1024 * 512, refcountOrder: 6 });
    put(built.bytes, built.refcountTable, 8, 515);
    const device = longer(bufferDevice(built.bytes.slice()), LENGTH);
    const dry = await repairDevice(longer(bufferDevice(built.bytes.slice()), LENGTH), { fix: 'all', dryRun: true });
    const report = await repairDevice(device, { fix: 'all' });
    expect(report).toEqual(dry);
    expect(report).toMatchObject({ after: { findings: [] }, lostBytes: 0, dropped: [] });
    expect(device.size).toBe(LENGTH);
    expect(device.bytes().length).toBeLessThan(MIB);
    expectClean(device.bytes());
    await expectWhatWasLeft(built.bytes, device.bytes(), report);
  });
});
