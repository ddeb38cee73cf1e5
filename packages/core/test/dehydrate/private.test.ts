/** What a dehydrated file does not contain: guest data, key material and, on request, names. */
import { readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { loadGolden } from '../golden/golden.js';
import { put } from '../support/big-endian.js';
import { dehydrated, dehydratedOf, recordsIn, rehydrated, unpacked } from '../support/dehydrated.js';
import { buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { noiseOf, softNoiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';

const folder = new QemuFolder('private');

/** Bytes of guest data that are searched for, at each place. */
const SAMPLE = 16;

/** How many samples of `data`, one from each 64 bytes, are in `file`. */
function samplesIn(file: Uint8Array, data: Uint8Array): number {
  const found = Buffer.from(file.buffer, file.byteOffset, file.length);
  let count = 0;
  for (let at = 0; at + SAMPLE <= data.length; at += 64) {
    if (found.includes(Buffer.from(data.subarray(at, at + SAMPLE)))) count++;
  }
  return count;
}

/** Guest clusters of noise, a compressed one among them, so that data are before, between and behind all tables. */
function noisy(plan: ImagePlan): { bytes: Uint8Array<ArrayBuffer>; data: Uint8Array } {
  const clusterSize = 2 ** (plan.clusterBits ?? 16);
  const stream = deflateRawSync(softNoiseOf(99, clusterSize), { windowBits: 12 });
  const clusters = new Map<number, Cell>([[3, { kind: 'compressed', payload: stream }]]);
  const parts = [new Uint8Array(stream)];
  for (const index of [0, 1, 2, 4, 5, 6, 7]) {
    const bytes = noiseOf(index * 31 + 7, clusterSize);
    parts.push(bytes);
    clusters.set(index, { kind: 'data', bytes });
  }
  return { bytes: buildImage({ ...plan, clusters }).bytes, data: Buffer.concat(parts) };
}

describe('guest data', () => {
  const plans: readonly ImagePlan[] = [
    // The first 64 KiB are read at once when an image is opened; most of them are guest data here.
    { clusterBits: 9 },
    { clusterBits: 12 },
    // The snapshot table is read 4 KiB at a time, and is shorter than 100 bytes here.
    { clusterBits: 9, snapshots: [{ id: '1', name: 'first' }] },
    { clusterBits: 12, bitmaps: [{ name: 'dirty', flags: 2, bits: new Uint8Array([7]) }] },
    { clusterBits: 16, extendedL2: true },
    { version: 2, clusterBits: 9, backingName: 'base.raw' },
  ];
  it.each(plans)('is not in the file: %j', async (plan) => {
    const { bytes, data } = noisy(plan);
    const container = await unpacked(await dehydrated(bytes));
    expect(samplesIn(bytes, data)).toBeGreaterThan(10);
    expect(samplesIn(container, data)).toBe(0);
  });

  it('is not in the file where a bitmap has bits in a cluster of the guest', async () => {
    const bits = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
    const plan: ImagePlan = { clusterBits: 12, bitmaps: [{ name: 'dirty', flags: 2, bits }] };
    const { bytes, data } = noisy(plan);
    const sound = await unpacked(await dehydrated(bytes));
    expect(Buffer.from(sound).includes(Buffer.from(bits))).toBe(true);
    const { at } = findTableOf(bytes, bits);
    const guest = Buffer.from(bytes).indexOf(data.subarray(-4096, -4000));
    put(bytes, at, 8, guest);
    const image = await Qcow2Image.open(bytes);
    expect((await image.check()).corruptions).toBeGreaterThan(0);
    const damaged = await unpacked(await dehydratedOf(image));
    expect(samplesIn(damaged, data)).toBe(0);
  });

  it('leaves a few KiB of an image of 64 MiB', async () => {
    const device = bufferDevice();
    const image = await Qcow2Image.create(device, { size: 64 * 2 ** 20 });
    for (let at = 0; at < 64 * 2 ** 20; at += 2 ** 20) image.writeSync(at, noiseOf(at, 2 ** 20));
    await image.close();
    const file = await dehydrated(device.bytes());
    expect(file.length).toBeLessThan(8 * 1024);
    expect(device.size).toBeGreaterThan(64 * 2 ** 20);
  });
});

/** The place of the table entry that leads to the cluster with these bits. */
function findTableOf(bytes: Uint8Array, bits: Uint8Array): { at: number } {
  const cluster = Buffer.from(bytes).indexOf(bits);
  const entry = new Uint8Array(8);
  put(entry, 0, 8, cluster);
  const places: number[] = [];
  for (let at = 0; at < bytes.length; at += 4096)
    if (Buffer.from(bytes.subarray(at, at + 8)).equals(entry)) places.push(at);
  expect(places).toHaveLength(1);
  return { at: places[0]! };
}

describe('key material', () => {
  const golden = loadGolden().find(({ name }) => name === 'encrypted-luks')!;
  const bytes = new Uint8Array(readFileSync(golden.file));
  const view = new DataView(bytes.buffer);
  const luks = Number(view.getBigUint64(120));
  const end = luks + Number(view.getBigUint64(128));

  function keysIn(container: Uint8Array): { offset: number; length: number }[] {
    return recordsIn(container).filter(({ offset, length }) => offset < end && offset + length > luks + 592);
  }

  it('is left out, and the header of LUKS is not', async () => {
    const file = await dehydrated(bytes);
    expect(keysIn(await unpacked(file))).toEqual([]);
    await using again = await Qcow2Image.open(await rehydrated(file));
    await using image = await Qcow2Image.open(bytes);
    expect(again.info.luks).toEqual(image.info.luks);
  });

  it.each([30n, 24n, 40n])('is all that is left out where its length has bit %i more', async (bit) => {
    const damaged = bytes.slice();
    put(damaged, 128, 8, view.getBigUint64(128) ^ (1n << bit));
    const file = await dehydrated(damaged);
    expect(keysIn(await unpacked(file))).toEqual([]);
    await using again = await Qcow2Image.open(await rehydrated(file));
    await using image = await Qcow2Image.open(damaged);
    expect(await again.check()).toEqual(await image.check());
  });

  it('is left out where an L1 entry leads to it', async () => {
    const damaged = bytes.slice();
    put(damaged, Number(view.getBigUint64(40)), 8, luks);
    const container = await unpacked(await dehydrated(damaged));
    expect(keysIn(container)).toEqual([]);
    expect(recordsIn(container).some(({ offset, length }) => offset === luks && length === 592)).toBe(true);
  });
});

describe('names: false', () => {
  const NAMES = [
    'secret-base.qcow2',
    'secret-1',
    'secret-snapshot',
    'secret-2',
    'secret-other---',
    'secret-bitmap',
    'x',
  ];
  const image = buildImage({
    backingName: NAMES[0]!,
    extensions: [{ type: 0xe2792aca, data: new TextEncoder().encode('qcow2') }],
    snapshots: [
      { id: NAMES[1]!, name: NAMES[2]! },
      { id: NAMES[3]!, name: NAMES[4]! },
    ],
    bitmaps: [
      { name: NAMES[5]!, flags: 2, bits: null },
      { name: 'secret-others', flags: 2, bits: null },
    ],
  }).bytes;

  it('replaces every name by one of the same length, and keeps what is unique so', async () => {
    const again = await Qcow2Image.open(await rehydrated(await dehydrated(image, { names: false })));
    expect(again.info).toMatchObject({ backingFile: 'x'.repeat(17), backingFormat: 'qcow2' });
    expect(again.snapshots.map(({ id, name }) => [id, name])).toEqual([
      ['xxxxxxxx', 'xxxxxxxxxxxxxxx'],
      ['xxxxxxxa', 'xxxxxxxxxxxxxxa'],
    ]);
    expect(again.bitmaps.map(({ name }) => name)).toEqual(['xxxxxxxxxxxxx', 'xxxxxxxxxxxxa']);
    expect(await again.check()).toEqual(await (await Qcow2Image.open(image)).check());
  });

  it('leaves no name in the file, and without it all are there', async () => {
    const named = Buffer.from(await unpacked(await dehydrated(image)));
    const nameless = Buffer.from(await unpacked(await dehydrated(image, { names: false })));
    expect(named.includes('secret')).toBe(true);
    expect(nameless.includes('secret')).toBe(false);
  });

  it('replaces the name of the data file', async () => {
    const device = bufferDevice();
    const resolve = async () => bufferDevice();
    await (await Qcow2Image.create(device, { size: 2 ** 20, dataFile: 'secret.raw', resolve })).close();
    const again = await Qcow2Image.open(await rehydrated(await dehydrated(device.bytes(), { names: false })));
    expect(again.info.dataFile).toBe('xxxxxxxxxx');
    expect(again.info.dataFileRaw).toBe(false);
  });

  it('gives snapshots and bitmaps of qemu-img names that qemu-img can open', async () => {
    folder.img('create', '-q', '-f', 'qcow2', 'many.qcow2', '1M');
    for (let number = 0; number < 70; number++) {
      folder.img('snapshot', '-c', `s${number}`, 'many.qcow2');
      if (number < 12) folder.img('bitmap', '--add', 'many.qcow2', String.fromCharCode(65 + number));
    }
    const bytes = folder.get('many.qcow2');
    folder.put('copy.qcow2', await rehydrated(await dehydrated(bytes, { names: false })));
    expect(qemuChecks(folder.path, 'copy.qcow2')).toEqual(qemuChecks(folder.path, 'many.qcow2'));
    const again = await Qcow2Image.open(folder.get('copy.qcow2'));
    expect(new Set(again.snapshots.map(({ id }) => id)).size).toBe(70);
    expect(new Set(again.bitmaps.map(({ name }) => name)).size).toBe(12);
    expect(again.snapshots.some(({ name }) => name.startsWith('s'))).toBe(false);
  });

  it('leaves out an old name that stands behind the end of the extensions', async () => {
    const stale = buildImage({}).bytes;
    stale.set(new TextEncoder().encode('stale-secret'), 4096);
    expect(Buffer.from(await unpacked(await dehydrated(stale, { names: false }))).includes('stale')).toBe(false);
  });
});
