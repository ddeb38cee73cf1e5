/** Header extensions of a damaged length: what is behind them is kept where it can be found, and named where not. */
import { describe, expect, test } from 'vitest';
import { bufferDevice, Qcow2Image, type RepairReport } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { mixed } from '../check/damages.js';
import { put } from '../support/big-endian.js';
import type { BuiltImage, HeaderExtension, ImagePlan } from '../support/image-builder.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';
import { violationOf } from './cut-repairs.js';
import { otherFile } from './products.js';
import { expectWhatWasLeft } from './what-was-left.js';

const folder = new QemuFolder('header-extensions');
folder.put('base.raw', otherFile);

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const FORMAT: HeaderExtension = { type: 0xe2792aca, data: utf8('raw') };
const UNKNOWN: HeaderExtension = { type: 0x12345678, data: new Uint8Array(40).fill(7, 24) };
/** Two names of features, padded with zeros. */
const NAMES: HeaderExtension = { type: 0x6803f857, data: new Uint8Array(96) };
NAMES.data.set(utf8('\0\0dirty bit'), 0);
NAMES.data.set(utf8('\0\x01corrupt bit'), 48);

/** An overlay with these extensions, and that of a bitmap behind them. */
const overlay = (extensions: readonly HeaderExtension[], plan: ImagePlan = {}): BuiltImage =>
  mixed({
    backingName: 'base.raw',
    extensions,
    bitmaps: [{ name: 'a', flags: 2, bits: new Uint8Array(64).fill(255) }],
    autoclear: 1n,
    ...plan,
  });

/** Repairs a copy, which QEMU opens and finds nothing wrong with then. */
async function repaired(bytes: Uint8Array): Promise<{ report: RepairReport; bitmaps: string[]; after: Uint8Array }> {
  const device = bufferDevice(bytes.slice());
  const dry = await repairDevice(bufferDevice(bytes.slice()), { fix: 'all', dryRun: true });
  const report = await repairDevice(device, { fix: 'all' });
  expect(report).toEqual(dry);
  expect(report.after.findings).toEqual([]);
  await expectWhatWasLeft(bytes, device.bytes(), report, { backing: otherFile });
  folder.put('image.qcow2', device.bytes());
  expect(qemuChecks(folder.path, 'image.qcow2')).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  expect(await repairDevice(device, { fix: 'all' })).toMatchObject({ repairs: [], dropped: [] });
  const image = await Qcow2Image.open(device.bytes(), { resolve: async () => otherFile });
  return { report, bitmaps: image.info.bitmaps.map(({ name }) => name), after: device.bytes() };
}

const FORMAT_NAME = 'Backing file format name';

describe('a header whose length is no multiple of 8', () => {
  const STALE = { autoclear: 0n };
  const TOO_LONG: HeaderExtension = { type: FORMAT.type, data: new Uint8Array(20).fill(65) };

  test.each([105, 107, 510])('of %i bytes: an extension is dropped once', async (headerLength) => {
    const stale = await repaired(overlay([], { headerLength, ...STALE }).bytes);
    expect(stale.report.dropped).toMatchObject([{ kind: 'bitmap', name: 'all' }]);
    const last = await repaired(overlay([TOO_LONG], { headerLength, bitmaps: [], autoclear: 0n }).bytes);
    expect(last.report.dropped).toMatchObject([{ kind: 'header extension', name: FORMAT_NAME }]);
    const image = overlay([TOO_LONG], { headerLength });
    const { report, bitmaps } = await repaired(image.bytes);
    expect(report.dropped).toMatchObject([{ kind: 'header extension', name: FORMAT_NAME }]);
    expect(bitmaps).toEqual(['a']);
    expect(await violationOf(image.bytes, 1000)).toBeNull();
  });
});

describe('a header extension whose length is damaged', () => {
  test.each<[string, HeaderExtension[], number, string]>([
    ['past the area', [FORMAT], 0x10003, FORMAT_NAME],
    ['over the next one', [FORMAT], 3 + 32, FORMAT_NAME],
    ['past the area, between others', [UNKNOWN, FORMAT], 0x10003, FORMAT_NAME],
    ['of names with zeros in them', [FORMAT, NAMES], 0x1000_0060, 'Feature name table'],
    ['of an unknown type with zeros in it', [FORMAT, UNKNOWN], 0x1000_0028, 'type 0x12345678'],
  ])('%s: it alone is dropped', async (_, extensions, length, name) => {
    const image = overlay(extensions);
    put(image.bytes, image.extensions[extensions.length - 1]! + 4, 4, length);
    const { report, bitmaps } = await repaired(image.bytes);
    expect(report.dropped.map((dropped) => dropped.name)).toEqual([name]);
    expect(bitmaps).toEqual(['a']);
    expect(await violationOf(image.bytes, 100)).toBeNull();
  });

  test('and another such one behind it: both are dropped, and what follows is kept', async () => {
    const image = overlay([FORMAT, NAMES]);
    put(image.bytes, image.extensions[0]! + 4, 4, 0x10003);
    put(image.bytes, image.extensions[1]! + 4, 4, 0x4000_0060);
    const { report, bitmaps } = await repaired(image.bytes);
    expect(report.dropped.map((dropped) => dropped.name)).toEqual([FORMAT_NAME, 'Feature name table']);
    expect(bitmaps).toEqual(['a']);
  });

  test('and the last one, too: all are named', async () => {
    const image = overlay([FORMAT]);
    put(image.bytes, image.extensions[0]! + 4, 4, 0x10003);
    put(image.bytes, image.extensions[1]! + 4, 4, 0x10018);
    const { report, bitmaps } = await repaired(image.bytes);
    expect(report.dropped.map((dropped) => dropped.name)).toEqual([FORMAT_NAME, 'Bitmaps extension']);
    expect(bitmaps).toEqual([]);
  });

  test('at the end of the list: what is behind the end is not taken for one', async () => {
    const image = mixed({ backingName: 'base.raw', extensions: [FORMAT] });
    const end = image.extensions[0]! + 16;
    put(image.bytes, end - 12, 4, 0x10003);
    // Left from a longer list.
    image.bytes.copyWithin(end + 40, image.backingName, image.backingName + 8);
    image.bytes.fill(0, end, end + 40);
    put(image.bytes, end + 8, 4, 0x23852875);
    put(image.bytes, end + 12, 4, 24);
    put(image.bytes, 8, 8, end + 40);
    const { report } = await repaired(image.bytes);
    expect(report.dropped.map((dropped) => dropped.name)).toEqual([FORMAT_NAME]);
  });
});
