/** Snapshot tables with unusual or too much extra data, or that are too long: read and repaired. */
import { describe, expect, test } from 'vitest';
import { decodeSnapshots, type Snapshot } from '../../src/format/snapshots.js';
import { bufferDevice, Qcow2Image, type RepairReport } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { expectSame } from '../support/expect-same.js';
import { type BuiltImage, buildImage, filled, type ImagePlan } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';

const folder = new QemuFolder('snapshot-tables');
const CLUSTER = 65_536;
const MIB = 1024 * 1024;

/** Extra data: the sizes of the machine state and of the disk, and bytes that are unknown. */
function unknownExtra(diskSize: number): Uint8Array {
  const extra = noiseOf(5, 42);
  put(extra, 0, 8, 0);
  put(extra, 8, 8, diskSize);
  return extra;
}

/** Three snapshots: without extra data, with unknown extra data, with the machine state's size alone. */
function threeSnapshots(version: 2 | 3): BuiltImage {
  const extras = [new Uint8Array(0), unknownExtra(MIB), new Uint8Array(8)];
  const snapshots = extras.map((extra, index) => ({ id: `${index + 1}`, name: `sn${index}`, extra }));
  return buildImage({ version, size: MIB, clusters: new Map([[0, filled(1)]]), snapshots });
}

/** The entries of an image's snapshot table. */
function entriesOf(bytes: Uint8Array): readonly Snapshot[] {
  const at = Number(get(bytes, 64, 8));
  return decodeSnapshots(bytes.subarray(at), Number(get(bytes, 60, 4)), at)!.snapshots;
}

const namesOf = (snapshots: readonly Snapshot[]): string[] =>
  snapshots.map(({ name }) => new TextDecoder().decode(name));

function expectClean(bytes: Uint8Array): void {
  folder.put('image.qcow2', bytes);
  expect(qemuChecks(folder.path, 'image.qcow2')).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
}

/** Repairs an image; qemu-img and our check find nothing wrong with it then. */
async function repaired(bytes: Uint8Array): Promise<{ bytes: Uint8Array<ArrayBuffer>; report: RepairReport }> {
  const device = bufferDevice(bytes);
  const image = await Qcow2Image.open(device, { mode: 'repair' });
  const report = await image.repair({ fix: 'all' });
  await image.close();
  expect(report.after.findings).toEqual([]);
  expectClean(device.bytes());
  return { bytes: device.bytes(), report };
}

describe('extra data of snapshots', () => {
  test('may be missing, short or unknown in version 2', async () => {
    const { bytes } = threeSnapshots(2);
    expectClean(bytes);
    const image = await Qcow2Image.open(bytes);
    expect((await image.check()).findings).toEqual([]);
    expect(image.snapshots.map(({ name }) => name)).toEqual(['sn0', 'sn1', 'sn2']);
    expect((await image.openSnapshot('sn0')).size).toBe(MIB);
  });

  test('are completed in version 3, and unknown ones kept', async () => {
    const { bytes } = threeSnapshots(3);
    expect(await (await Qcow2Image.open(bytes)).check()).toMatchObject({ corruptions: 2 });
    const { bytes: after, report } = await repaired(bytes);
    expect(report.dropped).toEqual([]);
    const entries = entriesOf(after);
    expect(namesOf(entries)).toEqual(['sn0', 'sn1', 'sn2']);
    expect(entries.map(({ extra }) => extra.length)).toEqual([16, 42, 16]);
    expectSame(entries[1]!.extra, unknownExtra(MIB));
    for (const { extra } of entries) expect(get(extra, 8, 8)).toBe(BigInt(MIB));
  });

  test.each([0, 1, 2])('stay with the others when snapshot %s is dropped', async (index) => {
    const { bytes, snapshotTable } = threeSnapshots(2);
    const before = entriesOf(bytes);
    let at = snapshotTable;
    for (const { extra } of before.slice(0, index)) at += Math.ceil((40 + extra.length + 1 + 3) / 8) * 8;
    put(bytes, at, 8, 2 ** 40);
    const { bytes: after, report } = await repaired(bytes);
    expect(report.dropped).toMatchObject([{ kind: 'snapshot', name: `sn${index}` }]);
    const kept = before.filter((_, other) => other !== index);
    const entries = entriesOf(after);
    expect(namesOf(entries)).toEqual(namesOf(kept));
    entries.forEach(({ extra }, other) => {
      expectSame(extra.subarray(0, kept[other]!.extra.length), kept[other]!.extra);
    });
  });

  test('of 64 KiB are refused, also where the next cluster is something else, and repaired', async () => {
    const { bytes, snapshotTable } = threeSnapshots(2);
    put(bytes, snapshotTable + 36, 4, 64 * 1024);
    await expect(Qcow2Image.open(bytes)).rejects.toMatchObject({ code: 'corrupt', details: { what: 'snapshot 0' } });
    await repaired(bytes);
  });
});

describe('an image with a damaged snapshot', () => {
  test.each([
    ['inside a cluster', 0, 8, 0x40_0200],
    ['that is too long', 8, 4, 0x1000_0000],
  ] as const)('is not opened for writing with an L1 table %s', async (_, field, width, value) => {
    const { bytes, snapshotTable } = threeSnapshots(2);
    put(bytes, snapshotTable + field, width, value);
    const device = bufferDevice(bytes);
    for (const verify of [true, false]) {
      const opening = Qcow2Image.open(device, { mode: 'readwrite', verify });
      await expect(opening).rejects.toMatchObject({ name: 'Qcow2Error' });
    }
    expectSame(device.bytes(), bytes);
    await repaired(bytes);
  });
});

describe('a snapshot table', () => {
  const FIXED = 40;
  /** Where the table of a {@link withTable} image lies, and the last snapshot's L1 table and L2 table before it. */
  const TABLE = MIB;
  const LAST_L1 = MIB - 2 * CLUSTER;
  const LAST_L2 = MIB - CLUSTER;

  /** An image with this snapshot table at 1 MiB; the entry at `last` has an L1 and an L2 table of its own. */
  function withTable(plan: ImagePlan, table: Uint8Array, count: number, last: number): Uint8Array {
    const { bytes, refcountBlocks } = buildImage({ size: 64 * MIB, ...plan });
    const image = new Uint8Array(TABLE + table.length);
    image.set(bytes);
    image.set(table, TABLE);
    put(image, TABLE + last, 8, LAST_L1);
    put(image, TABLE + last + 8, 4, 1);
    put(image, LAST_L1, 8, (1n << 63n) | BigInt(LAST_L2));
    put(image, 60, 4, count);
    put(image, 64, 8, TABLE);
    for (let at = LAST_L1; at < image.length; at += CLUSTER) put(image, refcountBlocks[0]! + (at / CLUSTER) * 2, 2, 1);
    return image;
  }

  /** A table of entries with ids and names as long as can be, and extra data of these lengths. */
  function longTable(extras: readonly number[]): { table: Uint8Array; ends: number[] } {
    const lengths = extras.map((extra) => Math.ceil((FIXED + extra + 65_535 + 65_535) / 8) * 8);
    const table = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
    const ends: number[] = [];
    let at = 0;
    extras.forEach((extra, index) => {
      put(table, at + 12, 2, 65_535);
      put(table, at + 14, 2, 65_535);
      put(table, at + 36, 4, extra);
      if (extra >= 16) put(table, at + FIXED + 8, 8, 64 * MIB);
      put(table, at + FIXED + extra, 4, index + 1);
      at += lengths[index]!;
      ends.push(at);
    });
    return { table, ends };
  }

  /** As many entries with 1024 bytes of extra data as pass 64 MiB. */
  const TOO_MANY = Math.ceil((64 * MIB) / (Math.ceil((FIXED + 1024 + 131_070) / 8) * 8));

  test('of more than 64 MiB is refused, and repaired: all but its last snapshot are kept', async () => {
    const { table, ends } = longTable(new Array<number>(TOO_MANY).fill(1024));
    const bytes = withTable({}, table, TOO_MANY, ends.at(-2)!);
    await expect(Qcow2Image.open(bytes)).rejects.toMatchObject({
      code: 'corrupt',
      details: { what: 'snapshot table' },
    });
    const { bytes: after } = await repaired(bytes);
    expect(get(after, 60, 4)).toBe(BigInt(TOO_MANY - 1));
  });

  test('of more than 64 MiB with an entry of too much extra data is refused, and repaired', async () => {
    const extras = new Array<number>(TOO_MANY).fill(1024);
    extras[TOO_MANY - 3] = 1024 + 131_072;
    const { table, ends } = longTable(extras);
    const bytes = withTable({}, table, TOO_MANY, ends.at(-2)!);
    await expect(Qcow2Image.open(bytes)).rejects.toMatchObject({ code: 'corrupt' });
    const { bytes: after, report } = await repaired(bytes);
    expect(get(after, 60, 4)).toBe(BigInt(TOO_MANY - 3));
    expect(report.dropped).toMatchObject([{ kind: 'snapshot', name: `snapshots ${TOO_MANY - 3} to ${TOO_MANY - 1}` }]);
  });

  test('of twice as many snapshots as there may be is refused, and the first 65,536 are kept', async () => {
    const count = 2 * 65_536;
    const length = FIXED + 8;
    const table = new Uint8Array(length * count);
    for (let index = 0; index < count; index++) {
      put(table, index * length + 12, 2, 4);
      put(table, index * length + FIXED, 4, index + 1);
    }
    const bytes = withTable({ version: 2 }, table, count, length * 65_536);
    await expect(Qcow2Image.open(bytes)).rejects.toMatchObject({
      code: 'unsupported',
      details: { what: 'nb_snapshots' },
    });
    const { bytes: after } = await repaired(bytes);
    expect(get(after, 60, 4)).toBe(65_536n);
  });
});
