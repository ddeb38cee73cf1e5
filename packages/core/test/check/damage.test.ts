/** Damaged images, against what `qemu-img check` says of the same damage: hand-made, one kind each, and at random. */
import { rmSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { CheckReport, Fault, Impact } from '../../src/index.js';
import { bufferDevice, bufferSource, Qcow2Image } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { noiseOf, numbers, softNoiseOf } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { asQemuChecks, countOf, qemuChecks } from '../support/qemu-check.js';

const folder = new QemuFolder('damage');
let images = 0;

/** Our report of a file, once qemu-img has been seen to have the same figures. */
async function judged(bytes: Uint8Array): Promise<CheckReport> {
  const file = `${images++}.qcow2`;
  folder.put(file, bytes);
  const expected = qemuChecks(folder.path, file);
  const { report } = await checkSource(bufferSource(bytes));
  rmSync(folder.at(file));
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

/** A guest cluster in another L2 table than the first, if tables are small. */
const FAR = 1000;

/** Data, zeros of both kinds and, where refcounts can say that they share, compressed clusters; in two L2 tables. */
function mixed(plan: ImagePlan = {}): BuiltImage {
  const clusterBits = plan.clusterBits ?? 12;
  const clusterSize = 2 ** clusterBits;
  const clusters = new Map<number, Cell>([
    [0, { kind: 'data', bytes: noiseOf(1, clusterSize) }],
    [1, { kind: 'data', bytes: noiseOf(2, clusterSize) }],
    [2, { kind: 'zero', allocated: true }],
    [3, { kind: 'zero', allocated: false }],
    [FAR, { kind: 'data', bytes: noiseOf(3, clusterSize) }],
  ]);
  for (const index of plan.refcountOrder === 0 ? [] : [5, 6, 7, 9]) {
    const payload = deflateRawSync(softNoiseOf(index * 3, clusterSize), { windowBits: 12 });
    clusters.set(index, { kind: 'compressed', payload });
  }
  return buildImage({ clusterBits, size: 1024 * clusterSize, clusters, ...plan });
}

/** Where the refcount of a cluster stands, of 16 bits. */
function refcountAt(image: BuiltImage, cluster: number): number {
  const perBlock = image.clusterSize / 2;
  return image.refcountBlocks[Math.floor(cluster / perBlock)]! + (cluster % perBlock) * 2;
}

const COPIED = 1n << 63n;

/** One damage: what is done to the mixed image, and what is found then. */
interface Damage {
  readonly name: string;
  readonly plan?: ImagePlan;
  readonly faults: readonly Fault[];
  /** Answers other bytes when it does not change the image's own. */
  harm(image: BuiltImage): unknown;
}

const end = (image: BuiltImage): number => image.bytes.length;
const hostOf = (image: BuiltImage, cluster: number): number =>
  Number(get(image.bytes, image.entryAt(cluster), 8) & 0x00ff_ffff_ffff_fe00n);

function setBits(image: BuiltImage, at: number, bits: bigint): void {
  put(image.bytes, at, 8, get(image.bytes, at, 8) | bits);
}

function clearBits(image: BuiltImage, at: number, bits: bigint): void {
  put(image.bytes, at, 8, get(image.bytes, at, 8) & ~bits);
}

const damages: readonly Damage[] = [
  { name: 'none', faults: [], harm() {} },
  {
    name: 'a cluster whose entry is gone leaks',
    faults: ['refcount-high'],
    harm: (image) => put(image.bytes, image.entryAt(1), 8, 0),
  },
  {
    name: 'a refcount of 2 for one reference',
    faults: ['refcount-high', 'copied-set'],
    harm: (image) => put(image.bytes, refcountAt(image, hostOf(image, 0) / image.clusterSize), 2, 2),
  },
  {
    name: 'a refcount of 0',
    faults: ['refcount-low', 'copied-set'],
    harm: (image) => put(image.bytes, refcountAt(image, hostOf(image, 0) / image.clusterSize), 2, 0),
  },
  {
    name: 'an L1 entry without COPIED',
    faults: ['copied-missing'],
    harm: (image) => clearBits(image, image.l1, COPIED),
  },
  {
    name: 'L2 entries without COPIED',
    faults: ['copied-missing', 'copied-missing'],
    harm(image) {
      clearBits(image, image.entryAt(0), COPIED);
      clearBits(image, image.entryAt(2), COPIED);
    },
  },
  {
    name: 'COPIED on a compressed cluster',
    faults: ['copied-compressed'],
    harm: (image) => setBits(image, image.entryAt(5), COPIED),
  },
  {
    name: 'reserved bits in L1 and L2 entries',
    faults: ['reserved-bits', 'reserved-bits', 'reserved-bits'],
    harm(image) {
      setBits(image, image.l1, 1n << 56n);
      setBits(image, image.entryAt(0), 1n << 61n);
      setBits(image, image.entryAt(3), 1n << 8n);
    },
  },
  {
    name: 'a data cluster that is not aligned',
    faults: ['unaligned', 'refcount-low'],
    harm: (image) => setBits(image, image.entryAt(0), 512n),
  },
  {
    name: 'an L2 table that is not aligned',
    faults: ['unaligned', 'refcount-low', 'refcount-high'],
    harm: (image) => setBits(image, image.l1, 512n),
  },
  {
    name: 'two entries for one cluster',
    faults: ['refcount-low', 'refcount-high'],
    harm: (image) => put(image.bytes, image.entryAt(1), 8, get(image.bytes, image.entryAt(0), 8)),
  },
  {
    name: 'two entries for one cluster, and a refcount that fits',
    faults: ['refcount-high', 'copied-set', 'copied-set'],
    harm(image) {
      put(image.bytes, image.entryAt(1), 8, get(image.bytes, image.entryAt(0), 8));
      put(image.bytes, refcountAt(image, hostOf(image, 0) / image.clusterSize), 2, 2);
    },
  },
  {
    name: 'guest data on an L2 table, and a refcount that fits',
    faults: ['overlap', 'copied-set', 'copied-set', 'refcount-high'],
    harm(image) {
      const table = image.entryAt(0);
      put(image.bytes, image.entryAt(1), 8, BigInt(table) | COPIED);
      put(image.bytes, refcountAt(image, table / image.clusterSize), 2, 2);
    },
  },
  {
    name: 'guest data on the refcount block',
    faults: ['refcount-low', 'refcount-high', 'refcount-block-shared'],
    harm: (image) => put(image.bytes, image.entryAt(1), 8, BigInt(image.refcountBlocks[0]!) | COPIED),
  },
  {
    name: 'an L1 entry with COPIED and no offset, for which QEMU takes the header as a table',
    faults: ['past-end', 'reserved-bits', 'refcount-low', 'refcount-high'],
    harm: (image) => put(image.bytes, image.l1 + 8, 8, COPIED),
  },
  {
    name: 'a data cluster past the end',
    faults: ['past-end', 'copied-set'],
    harm: (image) => put(image.bytes, image.entryAt(10), 8, BigInt(end(image) + 7 * image.clusterSize) | COPIED),
  },
  {
    name: 'a data cluster past the end, without COPIED',
    faults: ['past-end'],
    harm: (image) => put(image.bytes, image.entryAt(10), 8, BigInt(end(image))),
  },
  {
    name: 'a data cluster past the end that has a refcount',
    faults: ['past-end'],
    harm(image) {
      put(image.bytes, image.entryAt(10), 8, BigInt(end(image)) | COPIED);
      put(image.bytes, refcountAt(image, end(image) / image.clusterSize), 2, 1);
    },
  },
  {
    name: 'a data cluster at 2^55',
    faults: ['past-end', 'copied-set'],
    harm: (image) => put(image.bytes, image.entryAt(10), 8, (1n << 55n) | COPIED),
  },
  {
    name: 'an L2 table past the end',
    faults: ['past-end', 'refcount-high'],
    harm: (image) => put(image.bytes, image.l1, 8, BigInt(end(image) + image.clusterSize)),
  },
  {
    name: 'a compressed cluster past the end',
    faults: ['past-end', 'refcount-high'],
    harm: (image) => setBits(image, image.entryAt(5), 1n << 40n),
  },
  {
    name: 'a refcount table entry with a reserved bit',
    faults: ['reserved-bits', 'refcount-high'],
    harm: (image) => setBits(image, image.refcountTable, 2n),
  },
  {
    name: 'a refcount table entry past the end',
    faults: ['past-end'],
    harm: (image) => put(image.bytes, image.refcountTable + 8, 8, end(image) + image.clusterSize),
  },
  {
    name: 'a refcount table entry twice',
    faults: ['refcount-low', 'refcount-block-shared'],
    harm: (image) => put(image.bytes, image.refcountTable + 8, 8, image.refcountBlocks[0]!),
  },
  {
    name: 'no refcount block at all',
    faults: ['refcount-low', 'copied-set'],
    harm: (image) => put(image.bytes, image.refcountTable, 8, 0),
  },
  {
    name: 'a file cut inside its last cluster',
    faults: [],
    harm: (image) => image.bytes.slice(0, end(image) - 700),
  },
  {
    name: 'a file with a leaked cluster behind it',
    faults: ['refcount-high'],
    harm(image) {
      put(image.bytes, refcountAt(image, end(image) / image.clusterSize), 2, 1);
      const longer = new Uint8Array(end(image) + 3 * image.clusterSize);
      longer.set(image.bytes);
      return longer;
    },
  },
  {
    name: 'a refcount of one bit, two references',
    plan: { refcountOrder: 0 },
    faults: ['refcount-overflow', 'refcount-high'],
    harm: (image) => put(image.bytes, image.entryAt(1), 8, get(image.bytes, image.entryAt(0), 8)),
  },
  {
    name: 'refcounts of 64 bits, one of them 2^40',
    plan: { refcountOrder: 6 },
    faults: ['refcount-high', 'copied-set'],
    harm: (image) =>
      put(image.bytes, image.refcountBlocks[0]! + (hostOf(image, 0) / image.clusterSize) * 8, 8, 1n << 40n),
  },
  {
    name: 'a subcluster both allocated and zero',
    plan: { clusterBits: 16, extendedL2: true },
    faults: ['subclusters'],
    harm: (image) => put(image.bytes, image.entryAt(0) + 8, 8, (1n << 33n) | 2n),
  },
  {
    name: 'subclusters allocated without a cluster',
    plan: { clusterBits: 16, extendedL2: true },
    faults: ['subclusters'],
    harm: (image) => put(image.bytes, image.entryAt(12) + 8, 8, 2n),
  },
  {
    name: 'a compressed cluster with a bitmap',
    plan: { clusterBits: 16, extendedL2: true },
    faults: ['subclusters', 'refcount-high'],
    harm: (image) => put(image.bytes, image.entryAt(9) + 8, 8, 1n),
  },
  {
    name: 'the zero flag in version 2',
    plan: { version: 2 },
    faults: ['zero-flag', 'zero-flag', 'zero-flag'],
    harm: (image) => setBits(image, image.entryAt(1), 1n),
  },
  {
    name: 'a snapshot whose L1 table is not aligned',
    plan: { snapshots: [{ id: '1', name: 'one' }] },
    faults: ['unaligned', 'refcount-high'],
    harm: (image) => setBits(image, image.snapshotTable, 512n),
  },
  {
    name: 'a snapshot whose L1 table is past the end',
    plan: { snapshots: [{ id: '1', name: 'one' }] },
    faults: ['past-end', 'refcount-high'],
    harm: (image) => put(image.bytes, image.snapshotTable, 8, end(image) + image.clusterSize),
  },
  {
    name: 'a snapshot with too little extra data',
    plan: { snapshots: [{ id: '1', name: 'one', extra: new Uint8Array(8) }] },
    faults: ['snapshot-table'],
    harm() {},
  },
  {
    name: 'the active disk with COPIED beside a snapshot',
    plan: { snapshots: [{ id: '1', name: 'one' }] },
    faults: ['copied-set'],
    harm: (image) => setBits(image, image.l1, COPIED),
  },
];

function bytesAfter(harmed: unknown, { bytes }: BuiltImage): Uint8Array {
  return harmed instanceof Uint8Array ? harmed : bytes;
}

describe('one damage', () => {
  test.each(damages)('$name', async ({ plan, faults, harm }) => {
    const image = mixed(plan);
    const report = await judged(bytesAfter(harm(image), image));
    const found = report.findings.map(({ fault }) => fault);
    expect(found.filter((fault) => !faults.includes(fault))).toEqual([]);
    expect(faults.filter((fault) => !found.includes(fault))).toEqual([]);
  });
});

/** Overwrites one entry, or one byte, of any table. */
function harmAtRandom(image: BuiltImage, next: () => number): void {
  const tables = [image.l1, image.refcountTable, ...image.refcountBlocks, image.entryAt(0), image.entryAt(FAR)];
  if (image.snapshotTable !== 0) tables.push(Number(get(image.bytes, image.snapshotTable, 8)));
  const at = tables[next() % tables.length]! + 8 * (next() % 20);
  const cluster = BigInt(next() % (end(image) / image.clusterSize + 3)) * BigInt(image.clusterSize);
  const choice = next() % 4;
  if (choice === 0) image.bytes[at + (next() % 8)]! ^= 1 << (next() % 8);
  else if (choice === 1) put(image.bytes, at, 8, cluster | COPIED);
  else if (choice === 2) put(image.bytes, at, 8, cluster);
  else setBits(image, at, 1n << BigInt(next() % 64));
}

/** Images of each kind; each costs a run of qemu-img. */
const ROUNDS = Number(process.env.QCOW2_DAMAGES ?? 10);

describe('damage at random', () => {
  const plans: readonly ImagePlan[] = [
    {},
    { refcountOrder: 0 },
    { refcountOrder: 3 },
    { version: 2 },
    {
      snapshots: [
        { id: '1', name: 'one' },
        { id: '2', name: 'two' },
      ],
    },
    { clusterBits: 16, extendedL2: true },
    { clusterBits: 9, size: 1024 * 512 },
  ];
  test.each(plans.map((plan, index) => ({ plan, index })))('of $plan', async ({ plan, index }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const next = numbers(index * 1000 + round);
      const image = mixed(plan);
      for (let i = next() % 3; i >= 0; i--) harmAtRandom(image, next);
      await judged(image.bytes);
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
