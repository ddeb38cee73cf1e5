/** Bitmaps for which QEMU refuses an image, though nothing of its clusters is wrong: they are dropped, by name. */
import { describe, expect, test } from 'vitest';
import { bufferDevice, Qcow2Image, type RepairReport } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { mixed } from '../check/damages.js';
import { get, put } from '../support/big-endian.js';
import type { BuiltImage, ImagePlan } from '../support/image-builder.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';
import { expectWhatWasLeft } from './what-was-left.js';

const folder = new QemuFolder('repair-bitmaps');

/** An image with two bitmaps; their entries are 32 bytes long. */
const withTwo = (plan: ImagePlan = {}): BuiltImage =>
  mixed({
    bitmaps: [
      { name: 'a', flags: 0, bits: null },
      { name: 'b', flags: 2, bits: new Uint8Array(64).fill(255) },
    ],
    ...plan,
  });

/** Two bitmaps whose tables should have ten entries and have one. */
const withShortTables = (flags: number): BuiltImage =>
  withTwo({
    clusterBits: 9,
    size: 20 * 1024 * 1024,
    clusters: new Map(),
    bitmaps: [
      { name: 'a', flags, bits: null },
      { name: 'b', flags: 1, bits: null },
    ],
  });

const EMPTY = { size: 0, clusters: new Map() };

/** Where the entry of a bitmap stands. */
const entryOf = (image: BuiltImage, index: number): number =>
  Number(get(image.bytes, image.extensions.at(-1)! + 24, 8)) + index * 32;

const qemuOpens = (bytes: Uint8Array): boolean => {
  folder.put('image.qcow2', bytes);
  return folder.tryImg('info', '-f', 'qcow2', 'image.qcow2').status === 0;
};

/** Repairs a copy, which QEMU opens and finds nothing wrong with then. */
async function repaired(bytes: Uint8Array): Promise<{ report: RepairReport; names: string[] }> {
  const device = bufferDevice(bytes.slice());
  const dry = await repairDevice(bufferDevice(bytes.slice()), { fix: 'all', dryRun: true });
  const report = await repairDevice(device, { fix: 'all' });
  expect(report).toEqual(dry);
  expect(report.after.findings).toEqual([]);
  await expectWhatWasLeft(bytes, device.bytes(), report);
  expect(qemuOpens(device.bytes())).toBe(true);
  expect(qemuChecks(folder.path, 'image.qcow2')).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  expect(await repairDevice(device, { fix: 'all' })).toMatchObject({ repairs: [], dropped: [] });
  const image = await Qcow2Image.open(device.bytes());
  return { report, names: image.info.bitmaps.map(({ name }) => name) };
}

describe('a bitmap for which QEMU refuses the image', () => {
  test.each<[string, () => BuiltImage, (image: BuiltImage) => unknown, string[], RegExp]>([
    ['a table that is too long', withTwo, (image) => put(image.bytes, entryOf(image, 0) + 8, 4, 2), ['b'], /needs 1/],
    ['no table', withTwo, (image) => put(image.bytes, entryOf(image, 0) + 8, 4, 0), ['b'], /no entries/],
    ['no table, in use', withTwo, (image) => put(image.bytes, entryOf(image, 0) + 8, 8, 1n), ['b'], /no entries/],
    ['a table that is too short', () => withShortTables(0), () => {}, ['b'], /needs 10/],
    ['the flag of extra data', withTwo, (image) => put(image.bytes, entryOf(image, 0) + 12, 4, 4), ['b'], /flags/],
    [
      'extra data',
      withTwo,
      (image) => {
        put(image.bytes, entryOf(image, 0) + 20, 4, 4);
        put(image.bytes, entryOf(image, 0) + 28, 1, 97);
      },
      ['b'],
      /extra data/,
    ],
    ['the name of another', withTwo, (image) => put(image.bytes, entryOf(image, 1) + 24, 1, 97), [], /its name/],
    ['one entry of a disk without bytes', () => withTwo(EMPTY), () => {}, [], /needs 0/],
    [
      'no entry of a disk without bytes',
      () => withTwo(EMPTY),
      (image) => put(image.bytes, entryOf(image, 0) + 8, 4, 0),
      [],
      /no entries|needs 0/,
    ],
  ])('%s: it is dropped', async (_, build, harm, kept, reason) => {
    const image = build();
    harm(image);
    expect(qemuOpens(image.bytes)).toBe(false);
    const { report, names } = await repaired(image.bytes);
    expect(names).toEqual(kept);
    expect(report.dropped).toHaveLength(2 - kept.length);
    for (const dropped of report.dropped) {
      expect(dropped).toMatchObject({ kind: 'bitmap', name: expect.stringMatching(/^[ab]$/) });
      expect(dropped.reason).toMatch(reason);
    }
  });
});

describe('a bitmap in use', () => {
  test.each<[string, () => BuiltImage, (image: BuiltImage) => unknown]>([
    ['a table that is too short', () => withShortTables(1), () => {}],
    [
      'a table that is too long',
      withTwo,
      (image) => {
        put(image.bytes, entryOf(image, 0) + 8, 4, 2);
        put(image.bytes, entryOf(image, 0) + 12, 4, 1);
      },
    ],
  ])('%s: it is kept', async (_, build, harm) => {
    const image = build();
    harm(image);
    expect(qemuOpens(image.bytes)).toBe(true);
    const { report, names } = await repaired(image.bytes);
    expect(names).toEqual(['a', 'b']);
    expect(report).toMatchObject({ repairs: [], dropped: [] });
  });
});
