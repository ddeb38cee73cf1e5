/** The check as a verb: what it needs, what it reports on the way, and how it ends early. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type BlockDevice, type BufferDevice, bufferDevice, type Progress, Qcow2Image } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { repeatingImage } from '../hostile/repeating-image.js';
import { put } from '../support/big-endian.js';
import { buildImage, type Cell } from '../support/image-builder.js';
import { RecordingSource } from '../support/recording-source.js';
import { SlowDevice } from '../support/slow-device.js';

async function preallocated(size: number): Promise<Qcow2Image> {
  return Qcow2Image.create(bufferDevice(), { size, clusterSize: 4096, preallocation: 'metadata' });
}

test('needs neither the backing file nor the data file', async () => {
  const backed = await Qcow2Image.open(buildImage({ backingName: 'nowhere' }).bytes);
  expect(await backed.check()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  const resolve = async () => bufferDevice();
  const device = bufferDevice();
  await Qcow2Image.create(device, { size: 2 ** 20, dataFile: 'nowhere', preallocation: 'metadata', resolve });
  const external = await Qcow2Image.open(device);
  expect(await external.check()).toMatchObject({ corruptions: 0, leaks: 0, extra: 0, allocatedClusters: 16 });
});

test('reports a cluster of the data file that is not at its guest offset', async () => {
  const device = bufferDevice();
  const resolve = async () => bufferDevice();
  await Qcow2Image.create(device, { size: 2 ** 20, dataFile: 'nowhere', preallocation: 'metadata', resolve });
  const bytes = device.bytes();
  const view = new DataView(bytes.buffer);
  const table = Number(view.getBigUint64(Number(view.getBigUint64(40))) & 0x00ff_ffff_ffff_fe00n);
  view.setBigUint64(table + 8, view.getBigUint64(table + 16));
  const report = await (await Qcow2Image.open(bytes)).check();
  expect(report).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0, extra: 1 });
  expect(report.findings).toMatchObject([
    {
      fault: 'data-file-offset',
      impact: 'data-doubtful',
      places: [{ at: table + 8 }],
      guest: [{ start: 65_536, length: 65_536 }],
    },
  ]);
});

test('can be cloned to another thread', async () => {
  const report = await (await preallocated(2 ** 20)).check();
  expect(structuredClone(report)).toEqual(report);
});

test.each([1, 2])('reads refcounts of entries past the end in few bytes, of %i blocks in turn', async (blocks) => {
  const COUNT = 4000;
  // The second block counts clusters that no file of a few MiB has.
  const hostOf = (index: number) => BigInt((1000 + index + (index % blocks) * 32_768) * 65_536);
  const cells = Array.from({ length: COUNT }, (_, index): [number, Cell] => {
    return [index, { kind: 'entry', entry: hostOf(index) }];
  });
  const image = buildImage({ size: COUNT * 65_536, clusters: new Map(cells) });
  put(image.bytes, image.refcountTable + 8, 8, image.refcountBlocks[0]!);
  put(image.bytes, image.refcountBlocks[0]! + 2000 * 2, 2, 1);
  const source = new RecordingSource(image.bytes);
  const { report } = await checkSource(source);
  const missing = report.findings.find(({ fault }) => fault === 'copied-missing');
  expect(missing?.count).toBe(1);
  const read = source.calls.flat().reduce((sum, { length }) => sum + length, 0);
  expect(read).toBeLessThan(2 ** 20 + (blocks - 1) * 4096 * COUNT);
});

test('reports progress up to the end of the disk', async () => {
  const image = await preallocated(2 ** 30);
  const seen: Progress[] = [];
  await image.check({ onProgress: (progress) => seen.push(progress) });
  expect(seen.at(-1)).toEqual({ phase: 'check', done: 2 ** 30, total: 2 ** 30 });
});

test('loads tables in batches, not one by one', async () => {
  const image = await preallocated(2 ** 30); // 512 tables of 4 KiB
  const before = (await image.stats()).deviceReads;
  await image.check();
  expect((await image.stats()).deviceReads - before).toBeLessThanOrEqual(8);
});

describe('several batches of tables', () => {
  /** 8 MiB of L2 tables, which are two batches. */
  async function twoBatches(): Promise<BufferDevice> {
    const device = bufferDevice();
    await (await Qcow2Image.create(device, { size: 2 ** 32, clusterSize: 4096, preallocation: 'metadata' })).close();
    return device;
  }

  test.each([0, 3])('are read one ahead, each into memory of its own; microtasks of a read: %s', async (delay) => {
    const image = await Qcow2Image.open(new SlowDevice(await twoBatches(), () => delay));
    expect(await image.check()).toMatchObject({ corruptions: 0, leaks: 0, extra: 0, allocatedClusters: 2 ** 20 });
  });

  test('whose second cannot be read, behind a fault in the first: nothing is left unhandled', async () => {
    const device = await twoBatches();
    const entry = new Uint8Array(8);
    const l1 = new Uint8Array(8);
    await device.read([{ at: 40, bytes: l1 }]);
    const l1At = Number(new DataView(l1.buffer).getBigUint64(0));
    await device.read([{ at: l1At, bytes: entry }]);
    const table = Number(new DataView(entry.buffer).getBigUint64(0) & 0x00ff_ffff_ffff_fe00n);
    await device.read([{ at: table, bytes: entry }]);
    entry[0]! |= 0x20;
    await device.write([{ at: table, bytes: entry }]);
    const lost = new Error('the medium is gone');
    let batches = 0;
    const failing: BlockDevice = {
      size: device.size,
      async read(transfers) {
        if (transfers.length === 1024 && ++batches === 2) throw lost;
        await device.read(transfers);
      },
      write: (transfers) => device.write(transfers),
      truncate: (size) => device.truncate(size),
      flush: () => device.flush(),
    };
    const opening = Qcow2Image.open(failing, { mode: 'readwrite' });
    await expect(opening).rejects.toMatchObject({ code: 'corrupt', details: { fault: 'reserved-bits' } });
    expect(batches).toBe(2);
    const read = { size: device.size, read: failing.read };
    batches = 0;
    await expect((await Qcow2Image.open(read)).check()).rejects.toBe(lost);
  });
});

test('throws the reason of an abort, and closed after close', async () => {
  const image = await preallocated(2 ** 20);
  const reason = new Error('enough');
  await expect(image.check({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await image.close();
  await expect(image.check()).rejects.toMatchObject({ name: 'Qcow2Error', code: 'closed' });
});

test('a timer can abort the check of an image that names one table again and again', async () => {
  const image = await Qcow2Image.open(repeatingImage());
  const abort = new AbortController();
  const reason = new Error('enough');
  const timer = sleep(50).then(() => abort.abort(reason));
  await expect(image.check({ signal: abort.signal })).rejects.toBe(reason);
  await timer;
});
