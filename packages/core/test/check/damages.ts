/** Damages to an image, one kind each and at random. */
import { deflateRawSync } from 'node:zlib';
import type { Fault } from '../../src/index.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { noiseOf, numbers, softNoiseOf } from '../support/numbers.js';

/** A guest cluster in another L2 table than the first, if tables are small. */
const FAR = 1000;

/** Data, zeros of both kinds and, where refcounts can say that they share, compressed clusters; in two L2 tables. */
export function mixed(plan: ImagePlan = {}): BuiltImage {
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

/** The flag of an entry whose cluster has one reference. */
export const COPIED = 1n << 63n;

/** One damage: what is done to the mixed image, and what is found then. */
export interface Damage {
  readonly name: string;
  readonly plan?: ImagePlan;
  readonly faults: readonly Fault[];
  /** Returns other bytes when it does not change the image's own. */
  harm(image: BuiltImage): unknown;
}

const end = (image: BuiltImage): number => image.bytes.length;
/** The host offset in the entry of a guest cluster. */
export const hostOf = (image: BuiltImage, cluster: number): number =>
  Number(get(image.bytes, image.entryAt(cluster), 8) & 0x00ff_ffff_ffff_fe00n);

function setBits(image: BuiltImage, at: number, bits: bigint): void {
  put(image.bytes, at, 8, get(image.bytes, at, 8) | bits);
}

/** Clears bits of the 64-bit word at an offset. */
export function clearBits(image: BuiltImage, at: number, bits: bigint): void {
  put(image.bytes, at, 8, get(image.bytes, at, 8) & ~bits);
}

export const damages: readonly Damage[] = [
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
    plan: { clusterBits: 14, extendedL2: true },
    faults: ['subclusters'],
    harm: (image) => put(image.bytes, image.entryAt(0) + 8, 8, (1n << 33n) | 2n),
  },
  {
    name: 'subclusters allocated without a cluster',
    plan: { clusterBits: 14, extendedL2: true },
    faults: ['subclusters'],
    harm: (image) => put(image.bytes, image.entryAt(12) + 8, 8, 2n),
  },
  {
    name: 'a compressed cluster with a bitmap',
    plan: { clusterBits: 14, extendedL2: true },
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
    name: 'a snapshot whose L1 table is too long',
    plan: { snapshots: [{ id: '1', name: 'one' }] },
    faults: ['snapshot-table', 'refcount-high'],
    harm: (image) => put(image.bytes, image.snapshotTable + 8, 4, 0x1000_0000),
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

/** The bytes of a damaged image. */
export function bytesAfter(harmed: unknown, { bytes }: BuiltImage): Uint8Array {
  return harmed instanceof Uint8Array ? harmed : bytes;
}

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

/** A mixed image with one to three random damages, which a seed chooses. */
export function damagedAtRandom(plan: ImagePlan, seed: number): Uint8Array {
  const next = numbers(seed);
  const image = mixed(plan);
  for (let i = next() % 3; i >= 0; i--) harmAtRandom(image, next);
  return image.bytes;
}

/** The kinds of image that are damaged at random. */
export const plans: readonly ImagePlan[] = [
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
  { clusterBits: 14, extendedL2: true },
  { clusterBits: 9, size: 1024 * 512 },
];
