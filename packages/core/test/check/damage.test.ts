/** Damaged images, against what `qemu-img check` says of the same damage: hand-made, one kind each, and at random. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CheckReport, Impact } from '../../src/index.js';
import { bufferDevice, bufferSource, Qcow2Image } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { get, put } from '../support/big-endian.js';
import { dehydrated, rehydrated } from '../support/dehydrated.js';
import { numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { asQemuChecks, countOf, type QemuFigures, qemuChecks } from '../support/qemu-check.js';
import { bytesAfter, COPIED, clearBits, damagedAtRandom, damages, hostOf, mixed, plans } from './damages.js';

const folder = new QemuFolder('damage');
let images = 0;

/** Our report of a file, once qemu-img has been seen to have the same figures. */
async function judged(bytes: Uint8Array): Promise<CheckReport> {
  const file = `${images++}.qcow2`;
  folder.put(file, bytes);
  const expected = qemuChecks(folder.path, file);
  const { report } = await checkSource(bufferSource(bytes));
  rmSync(folder.at(file));
  await expectSameDehydrated(file, bytes, report, expected);
  expect(expected, 'qemu-img gives a report').not.toBeNull();
  expect(asQemuChecks(report)).toEqual(expected);
  for (const [kind, figure] of [
    ['corruption', report.corruptions],
    ['leak', report.leaks],
    ['check-error', report.checkErrors],
    ['extra', report.extra],
  ] as const) {
    expect(countOf(report, kind), kind).toBe(figure);
  }
  expectReadable(report);
  return report;
}

/** A dehydrated copy has the same findings and, in qemu-img, the same figures. */
async function expectSameDehydrated(
  file: string,
  bytes: Uint8Array,
  report: CheckReport,
  expected: QemuFigures | null,
): Promise<void> {
  const copy = await rehydrated(await dehydrated(bytes));
  folder.put(file, copy);
  expect((await checkSource(bufferSource(copy))).report).toEqual(report);
  expect(qemuChecks(folder.path, file)).toEqual(expected);
  rmSync(folder.at(file));
}

/** Each cause is one finding, the worst first, with places and with ranges in order. */
function expectReadable({ findings }: CheckReport): void {
  const causes = findings.map(({ kind, fault, impact }) => `${kind} ${fault} ${impact}`);
  expect(new Set(causes).size).toBe(causes.length);
  const ranks = findings.map(({ impact }) => IMPACTS.indexOf(impact));
  expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
  for (const { count, places, guest } of findings) {
    expect(places.length).toBeGreaterThan(0);
    expect(places.length).toBeLessThanOrEqual(Math.min(16, count));
    for (const { at, what } of places) {
      expect(at).toBeGreaterThanOrEqual(0);
      expect(what).toMatch(/\S/);
    }
    guest.forEach(({ start, length }, index) => {
      expect(length).toBeGreaterThan(0);
      const before = guest[index - 1];
      if (before !== undefined) expect(start).toBeGreaterThan(before.start + before.length);
    });
  }
}

const IMPACTS: readonly Impact[] = ['data-missing', 'data-doubtful', 'bookkeeping', 'wasted-space'];

describe('one damage', () => {
  test.each(damages)('$name', async ({ plan, faults, harm }) => {
    const image = mixed(plan);
    const report = await judged(bytesAfter(harm(image), image));
    const found = report.findings.map(({ fault }) => fault);
    expect(found.filter((fault) => !faults.includes(fault))).toEqual([]);
    expect(faults.filter((fault) => !found.includes(fault))).toEqual([]);
  });
});

/** Images of each kind; each costs a run of qemu-img. */
const ROUNDS = Number(process.env.QCOW2_DAMAGES ?? 10);

describe('damage at random', () => {
  test.each(plans.map((plan, index) => ({ plan, index })))('of $plan', async ({ plan, index }) => {
    for (let round = 0; round < ROUNDS; round++) {
      await judged(damagedAtRandom(plan, index * 1000 + round));
    }
  });
});

/** 40,000 clusters, each mapped in order: they are counted many at a time. */
async function longRuns(refcountBits: number): Promise<Uint8Array> {
  const device = bufferDevice();
  const size = 40_000 * 512;
  await (await Qcow2Image.create(device, { size, clusterSize: 512, refcountBits, preallocation: 'metadata' })).close();
  return device.bytes();
}

describe('an image that is counted many clusters at a time', () => {
  test.each([16, 8, 64])('undamaged, refcounts of %s bits', async (bits) => {
    const report = await judged(await longRuns(bits));
    expect(report).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0, extra: 0, fragmentedClusters: 0 });
  });

  test('with refcounts of 0 at the start of a page of counts', async () => {
    const bytes = await longRuns(16);
    const blocks = blocksOf(bytes);
    for (const cluster of [8192, 8193]) put(bytes, blocks[(cluster / 256) | 0]! + (cluster % 256) * 2, 2, 0);
    expect(await judged(bytes)).toMatchObject({ leaks: 0 });
  });

  test('damaged at random', async () => {
    const sound = await longRuns(16);
    const tables = tablesOf(sound);
    for (let round = 0; round < ROUNDS; round++) {
      const next = numbers(7000 + round);
      const bytes = sound.slice();
      for (let i = next() % 12; i >= 0; i--) {
        const at = tables[next() % tables.length]! + 8 * (next() % 64);
        const cluster = BigInt(next() % (bytes.length / 512 + 3)) * 512n;
        const choice = next() % 4;
        if (choice === 0) bytes[at + (next() % 8)]! ^= 1 << (next() % 8);
        else if (choice === 1) put(bytes, at, 8, cluster | COPIED);
        else if (choice === 2) put(bytes, at, 8, 0);
        else put(bytes, at, 8, get(bytes, at, 8) & ~COPIED);
      }
      await judged(bytes);
    }
  });
});

/** Offsets of the L2 tables and refcount blocks of an image with clusters of 512 bytes. */
function tablesOf(bytes: Uint8Array): number[] {
  const l1 = offsetsIn(bytes, Number(get(bytes, 40, 8)), Number(get(bytes, 36, 4)));
  return [...l1, ...blocksOf(bytes)];
}

function blocksOf(bytes: Uint8Array): number[] {
  return offsetsIn(bytes, Number(get(bytes, 48, 8)), Number(get(bytes, 56, 4)) * 64);
}

function offsetsIn(bytes: Uint8Array, at: number, count: number): number[] {
  const entries = Array.from({ length: count }, (_, index) => get(bytes, at + index * 8, 8));
  return entries.map((entry) => Number(entry & 0x00ff_ffff_ffff_fe00n)).filter((offset) => offset !== 0);
}

describe('a cluster with 300 references', () => {
  test.each([
    [300, [], 4],
    [299, ['refcount-low'], 4],
    [301, ['refcount-high'], 4],
    [65_535, ['refcount-high'], 4],
    [255, ['refcount-overflow'], 3],
  ] as const)('and a refcount of %s', async (refcount, faults, refcountOrder) => {
    const image = mixed({ refcountOrder });
    clearBits(image, image.entryAt(0), COPIED);
    for (let cluster = 100; cluster < 399; cluster++) {
      put(image.bytes, image.entryAt(cluster), 8, get(image.bytes, image.entryAt(0), 8));
    }
    const bytes = (1 << refcountOrder) / 8;
    const at = image.refcountBlocks[0]! + (hostOf(image, 0) / image.clusterSize) * bytes;
    put(image.bytes, at, bytes as 1 | 2, refcount);
    const { findings } = await judged(image.bytes);
    expect(findings.map(({ fault }) => fault).sort()).toEqual(faults);
  });
});
