/** Damaged images of every kind, each with the disk that it held, and what of it is lost. */
import { deflateRawSync } from 'node:zlib';
import type { OpenOptions } from '../../src/index.js';
import { type BadPlace, SourceWithBadPlaces } from '../support/bad-places.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { noiseOf, softNoiseOf } from '../support/numbers.js';
import { frame } from '../support/zstd-frame.js';

const CLUSTER = 4096;
/** Clusters that one L2 table maps. */
const PER_TABLE = CLUSTER / 8;
const COPIED = 1n << 63n;

/** A file, and the places of it that cannot be read. */
export interface SubjectFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly bad?: readonly BadPlace[];
}

/** What is lost of a disk, in units of `unit` bytes. */
export interface ExpectedLoss {
  readonly first: number;
  readonly count: number;
  readonly what: string;
  readonly layer?: number;
  /** True where the tables tell, so that a map knows it. */
  readonly mapped: boolean;
}

/** A damaged image. */
export interface Subject {
  readonly name: string;
  readonly image: SubjectFile;
  /** The files that it names, by name. */
  readonly others?: Readonly<Record<string, SubjectFile & { readonly format: 'raw' | 'qcow2' }>>;
  /** The disk as it was before the damage. */
  readonly disk: Uint8Array;
  /** The smallest unit of allocation of the chain, bytes. */
  readonly unit: number;
  readonly lost: readonly ExpectedLoss[];
}

/** A file as a source. */
export function sourceOf({ bytes, bad = [] }: SubjectFile, asynchronous: boolean): SourceWithBadPlaces {
  return new SourceWithBadPlaces(bytes, bad, asynchronous);
}

/** Passes the other files of a subject on. */
export function resolverOf({ others = {} }: Subject, asynchronous: boolean): NonNullable<OpenOptions['resolve']> {
  return async ({ name }) => {
    const file = others[name]!;
    return { source: sourceOf(file, asynchronous), format: file.format };
  };
}

/** Guest clusters of a disk, some data and some compressed, and the disk itself. */
function clustersOf(
  size: number,
  numbers: readonly number[],
  compressed: readonly number[] = [],
  clusterSize: number = CLUSTER,
): { clusters: Map<number, Cell>; disk: Uint8Array } {
  const disk = new Uint8Array(size);
  const clusters = new Map<number, Cell>();
  for (const cluster of numbers) {
    const bytes = noiseOf(cluster + 1, clusterSize);
    clusters.set(cluster, { kind: 'data', bytes });
    disk.set(bytes.subarray(0, size - cluster * clusterSize), cluster * clusterSize);
  }
  for (const cluster of compressed) {
    const bytes = softNoiseOf(cluster + 1, clusterSize);
    clusters.set(cluster, { kind: 'compressed', payload: deflateRawSync(bytes) });
    disk.set(bytes, cluster * clusterSize);
  }
  return { clusters, disk };
}

const L2 = { what: 'L2 entry', mapped: true } as const;
const TABLE = { what: 'L2 table', mapped: true } as const;
const STREAM = { what: 'compressed cluster', mapped: false } as const;
const FILE = { what: 'file', mapped: false } as const;

/** Two and a half tables of 2 MiB each, with data around their borders, and compressed clusters. */
const SIZE = 2.5 * PER_TABLE * CLUSTER + 512;
/** They lie first in the file: opening reads its first 64 KiB, which must be sound. */
const FIRST = Array.from({ length: 16 }, (_, index) => 900 + index);
const NUMBERS = [...FIRST, 0, 1, 2, 3, 5, 200, 255, 256, 257, 510, 511, 512, 513, 700, 1023, 1024, 1025, 1100, 1280];
const STREAMS = [300, 301, 302, 303, 520, 521];
const TABLES = Math.ceil(SIZE / (PER_TABLE * CLUSTER));
const UNITS = Math.ceil(SIZE / CLUSTER);

function base(plan: ImagePlan = {}): { image: BuiltImage; disk: Uint8Array } {
  const { clusters, disk } = clustersOf(SIZE, NUMBERS, STREAMS);
  return { image: buildImage({ clusterBits: 12, size: SIZE, clusters, ...plan }), disk };
}

/** Damages an image. Returns the places of its file that cannot be read from then on. */
type Damaging = (bytes: Uint8Array, image: BuiltImage) => readonly BadPlace[];

const READABLE: readonly BadPlace[] = [];

/** An image of {@link base} after `damage`. */
function damaged(name: string, damage: Damaging, lost: readonly ExpectedLoss[], plan: ImagePlan = {}): Subject {
  const { image, disk } = base(plan);
  const bad = damage(image.bytes, image);
  return { name, image: { bytes: image.bytes, bad }, disk, unit: CLUSTER, lost };
}

/** The host offset in the entry at the byte `at`. */
function hostAt(bytes: Uint8Array, at: number): number {
  return Number(get(bytes, at, 8) & 0x00ff_ffff_ffff_fe00n);
}

/** The host offset of the stream in the entry at the byte `at`. */
function streamAt(bytes: Uint8Array, at: number, clusterBits = 12): number {
  return Number(get(bytes, at, 8) & ((1n << BigInt(70 - clusterBits)) - 1n));
}

/** Damages the L2 entries of clusters by adding `bits` to them. */
function entries(numbers: readonly number[], bits: bigint): Damaging {
  return (bytes, image) => {
    for (const cluster of numbers) {
      const at = image.entryAt(cluster);
      put(bytes, at, 8, get(bytes, at, 8) | bits);
    }
    return READABLE;
  };
}

/** Damages L1 entries. */
function l1(indexes: readonly number[], entry: bigint): Damaging {
  return (bytes, image) => {
    for (const index of indexes) put(bytes, image.l1 + index * 8, 8, entry);
    return READABLE;
  };
}

const UNALIGNED = 512n;
const FAR = COPIED | 0x7fff_ffff_0000n;
const tableLoss = (index: number, count = 1): ExpectedLoss => ({
  first: index * PER_TABLE,
  count: Math.min(count * PER_TABLE, UNITS - index * PER_TABLE),
  ...TABLE,
});

function tables(): Subject[] {
  return [
    damaged('an L1 entry is not aligned', l1([1], COPIED | 0x1200n), [tableLoss(1)]),
    damaged('an L1 entry lies past the end', l1([0], FAR), [tableLoss(0)]),
    damaged('the last L1 entry, of a table that the disk cuts', l1([TABLES - 1], FAR), [tableLoss(TABLES - 1)]),
    damaged('neighbouring L1 entries', l1([0, 1], COPIED | 0x1200n), [tableLoss(0, 2)]),
    damaged('every L1 entry', l1([0, 1, 2], FAR), [tableLoss(0, 3)]),
    damaged(
      'an L2 table that the source cannot read',
      (bytes, { l1: at }) => [{ at: hostAt(bytes, at + 8) + 1000, length: 8 }],
      [{ ...tableLoss(1), what: 'file' }],
    ),
  ];
}

function l2Entries(): Subject[] {
  return [
    damaged('L2 entries that are not aligned', entries([2, 3, 511, 512, 1280], UNALIGNED), [
      { first: 2, count: 2, ...L2 },
      { first: 511, count: 2, ...L2 },
      { first: 1280, count: 1, ...L2 },
    ]),
    damaged('L2 entries past the end of the file', entries([1, 700], 0x7fff_ffff_0000n), [
      { first: 1, count: 1, what: 'data cluster', mapped: true },
      { first: 700, count: 1, what: 'data cluster', mapped: true },
    ]),
    damaged('reserved bits of L2 entries, which reads ignore', entries([1, 700], 1n << 56n), []),
    damaged('the zero flag in version 2', entries([5], 1n), [{ first: 5, count: 1, ...L2 }], { version: 2 }),
    damaged(
      'a compressed cluster past the end of the file',
      (bytes, image) => {
        put(bytes, image.entryAt(301), 8, (1n << 62n) | 0x7fff_0000n);
        return READABLE;
      },
      [{ first: 301, count: 1, what: 'compressed cluster', mapped: true }],
    ),
  ];
}

function streams(): Subject[] {
  const flip =
    (numbers: readonly number[]): Damaging =>
    (bytes, image) => {
      // The first block is of a type that does not exist.
      for (const cluster of numbers) bytes[streamAt(bytes, image.entryAt(cluster))] = 0xff;
      return READABLE;
    };
  return [
    damaged('compressed streams that do not inflate', flip([301, 303, 520]), [
      { first: 301, count: 1, ...STREAM },
      { first: 303, count: 1, ...STREAM },
      { first: 520, count: 1, ...STREAM },
    ]),
    damaged('neighbouring compressed streams', flip([301, 302]), [{ first: 301, count: 2, ...STREAM }]),
    damaged(
      'a stream and an entry behind it: two reasons, two ranges',
      (bytes, image) => {
        put(bytes, image.entryAt(302), 8, UNALIGNED);
        return flip([301])(bytes, image);
      },
      [
        { first: 301, count: 1, ...STREAM },
        { first: 302, count: 1, ...L2 },
      ],
    ),
    ...zstd(),
    ...largeStreams(),
  ];
}

/** A damaged zstd frame, and one that is whole. */
function zstd(): Subject[] {
  const { clusters, disk } = clustersOf(16 * CLUSTER, [0, 3]);
  const whole = frame({ blocks: [{ kind: 'repeated', byte: 7, count: CLUSTER }], contentBytes: CLUSTER });
  const short = frame({ blocks: [{ kind: 'repeated', byte: 7, count: 100 }], contentBytes: 100 });
  clusters.set(1, { kind: 'compressed', payload: short });
  clusters.set(2, { kind: 'compressed', payload: whole });
  disk.fill(7, 2 * CLUSTER, 3 * CLUSTER);
  const plan = { clusterBits: 12, size: 16 * CLUSTER, clusters, compressionType: 1, incompatible: 8n };
  const { bytes } = buildImage(plan);
  const lost = [{ first: 1, count: 1, ...STREAM }];
  return [{ name: 'a zstd frame', image: { bytes }, disk, unit: CLUSTER, lost }];
}

/** Clusters of 2 MiB: a chunk of a stream is half of one. */
function largeStreams(): Subject[] {
  const size = 2 * 1024 * 1024;
  const { clusters, disk } = clustersOf(3 * size, [0], [1, 2], size);
  const image = buildImage({ clusterBits: 21, size: 3 * size, clusters });
  const { bytes } = image;
  bytes[streamAt(bytes, image.entryAt(1), 21)] = 0xff;
  return [
    {
      name: 'a stream of a large cluster',
      image: { bytes },
      disk,
      unit: size,
      lost: [{ first: 1, count: 1, ...STREAM }],
    },
  ];
}

function files(): Subject[] {
  const inCluster = (numbers: readonly number[]) => (bytes: Uint8Array, image: BuiltImage) =>
    numbers.map((cluster) => ({ at: hostAt(bytes, image.entryAt(cluster)) + 100, length: 1 }));
  return [
    damaged('places of data that the source cannot read', inCluster([0, 3, 255, 256, 1280]), [
      { first: 0, count: 1, ...FILE },
      { first: 3, count: 1, ...FILE },
      { first: 255, count: 2, ...FILE },
      { first: 1280, count: 1, ...FILE },
    ]),
    damaged(
      'a compressed stream that the source cannot read',
      (bytes, built) => [{ at: streamAt(bytes, built.entryAt(302)) + 600, length: 1 }],
      [{ first: 302, count: 1, ...FILE }],
    ),
    cutShort(),
  ];
}

/** The file ends 100 bytes into the last cluster that it has; two clusters lie behind it. */
function cutShort(): Subject {
  const { image, disk } = base();
  const end = image.bytes.length;
  const bytes = new Uint8Array(end + 100);
  bytes.set(image.bytes);
  bytes.set(disk.subarray(1100 * CLUSTER, 1100 * CLUSTER + 100), end);
  disk.fill(0, 1100 * CLUSTER + 100, 1101 * CLUSTER);
  [1100, 512, 513].forEach((cluster, index) => {
    put(bytes, image.entryAt(cluster), 8, COPIED | BigInt(end + index * CLUSTER));
  });
  const lost = [{ first: 512, count: 2, what: 'data cluster', mapped: true }];
  return { name: 'a file that was cut short', image: { bytes }, disk, unit: CLUSTER, lost };
}

/** An overlay with clusters of 4 KiB over damaged backing files. */
function chains(): Subject[] {
  const { clusters, disk: over } = clustersOf(SIZE, [1, 600, 601]);
  const overlay = (name: string): BuiltImage =>
    buildImage({ clusterBits: 12, size: SIZE, clusters, backingName: name });
  const combined = (below: Uint8Array): Uint8Array => {
    const disk = new Uint8Array(SIZE);
    disk.set(below.subarray(0, SIZE));
    for (const cluster of [1, 600, 601]) {
      const at = cluster * CLUSTER;
      disk.set(over.subarray(at, at + CLUSTER), at);
    }
    return disk;
  };
  const subject = (name: string, below: Subject, lost: readonly ExpectedLoss[], image = overlay('base')): Subject => ({
    name: `backing file: ${name}`,
    image: { bytes: image.bytes },
    others: { base: { ...below.image, format: 'qcow2' }, ...below.others },
    disk: combined(below.disk),
    unit: Math.min(CLUSTER, below.unit),
    lost,
  });
  const layer = { layer: 1 };
  const table = damaged('', l1([1], COPIED | 0x1200n), []);
  const entry = damaged('', entries([0, 1, 2, 600], UNALIGNED), []);
  const bad = damaged('', (bytes, { l1: at }) => [{ at: hostAt(bytes, at + 8), length: 1 }], []);
  const raw = noiseOf(5, SIZE);
  const damagedOverlay = overlay('base');
  entries([601], UNALIGNED)(damagedOverlay.bytes, damagedOverlay);
  const both = [
    { first: 601, count: 1, ...L2 },
    { first: 602, count: 1, ...L2, ...layer },
  ];
  return [
    subject('a table', table, [
      { first: 512, count: 88, ...TABLE, ...layer },
      { first: 602, count: 1024 - 602, ...TABLE, ...layer },
    ]),
    subject('entries, some of them behind data of the overlay', entry, [
      { first: 0, count: 1, ...L2, ...layer },
      { first: 2, count: 1, ...L2, ...layer },
    ]),
    subject('a table that its source cannot read', bad, [
      { first: 512, count: 88, what: 'file', mapped: true, ...layer },
      { first: 602, count: 1024 - 602, what: 'file', mapped: true, ...layer },
    ]),
    subject('larger clusters', largeBase(), [
      { first: 0, count: 1, ...L2, ...layer },
      { first: 2, count: 14, ...L2, ...layer },
      { first: 32, count: 16, ...STREAM, ...layer },
    ]),
    subject('smaller clusters', smallBase(), [
      { first: 0, count: 1, what: 'data cluster', mapped: true, ...layer },
      { first: 17, count: 2, what: 'data cluster', mapped: true, ...layer },
      { first: 180, count: 1, ...FILE, ...layer },
    ]),
    subject(
      'an entry, and one of the overlay before it',
      damaged('', entries([602], UNALIGNED), []),
      both,
      damagedOverlay,
    ),
    subject('of a backing file', subjectOver(entry), [
      { first: 0, count: 1, ...L2, layer: 2 },
      { first: 2, count: 1, ...L2, layer: 2 },
    ]),
    {
      name: 'backing file: a raw file with bad places',
      image: { bytes: overlay('raw').bytes },
      others: {
        raw: {
          bytes: raw,
          format: 'raw',
          bad: [
            { at: 5000, length: 9000 },
            { at: SIZE - 1, length: 1 },
          ],
        },
      },
      disk: combined(raw),
      unit: CLUSTER,
      lost: [
        { first: 2, count: 2, ...FILE, ...layer },
        { first: UNITS - 1, count: 1, ...FILE, ...layer },
      ],
    },
  ];
}

/** An overlay of its own, without data, over another subject. */
function subjectOver(below: Subject): Subject {
  const { bytes } = buildImage({ clusterBits: 12, size: SIZE, backingName: 'deepest' });
  const others = { deepest: { ...below.image, format: 'qcow2' as const } };
  return { ...below, image: { bytes }, others };
}

function largeBase(): Subject {
  const size = 65_536;
  const { clusters, disk } = clustersOf(40 * size, [0, 1], [2, 3], size);
  const image = buildImage({ clusterBits: 16, size: 40 * size, clusters });
  const { bytes } = image;
  put(bytes, image.entryAt(0), 8, get(bytes, image.entryAt(0), 8) | UNALIGNED);
  bytes[streamAt(bytes, image.entryAt(2), 16)] = 0xff;
  return { name: '', image: { bytes }, disk: fitted(disk), unit: CLUSTER, lost: [] };
}

function smallBase(): Subject {
  const size = 512;
  const { clusters, disk } = clustersOf(
    200 * size,
    Array.from({ length: 200 }, (_, cluster) => cluster),
    [],
    size,
  );
  const image = buildImage({ clusterBits: 9, size: 200 * size, clusters });
  const { bytes } = image;
  for (const cluster of [0, 8, 17, 18]) {
    put(bytes, image.entryAt(cluster), 8, FAR + BigInt(cluster * 512));
  }
  const bad = [{ at: hostAt(bytes, image.entryAt(180)), length: 4 }];
  return { name: '', image: { bytes, bad }, disk: fitted(disk), unit: size, lost: [] };
}

/** The disk of a smaller backing file, as the overlay sees it. */
function fitted(disk: Uint8Array): Uint8Array {
  const whole = new Uint8Array(SIZE);
  whole.set(disk.subarray(0, SIZE));
  return whole;
}

/** Extended L2 entries, clusters of 16 KiB and subclusters of 512 bytes. */
function extended(): Subject[] {
  const size = 16_384;
  const build = (cells: ReadonlyMap<number, Cell>): Uint8Array<ArrayBuffer> =>
    buildImage({ clusterBits: 14, size: 16 * size, extendedL2: true, clusters: cells }).bytes;
  const both = clustersOf(16 * size, [0, 1, 2, 4], [], size);
  both.clusters.set(1, { kind: 'data', bytes: noiseOf(2, size), bitmap: (1n << 40n) | 0xffff_ffffn });
  const nowhere = clustersOf(16 * size, [0, 1, 2, 4], [], size);
  nowhere.clusters.set(1, { kind: 'entry', entry: 0n, bitmap: 1n });
  nowhere.clusters.set(2, { kind: 'entry', entry: 0n, bitmap: 1n });
  const past = clustersOf(16 * size, [0, 2], [], size);
  // Two subclusters in a cluster past the end, one that is zero, and the others unallocated.
  past.clusters.set(1, { kind: 'entry', entry: COPIED | 0x7fff_0000n, bitmap: (1n << 33n) | 0b1001n });
  const lost = (first: number, count: number, what: string): ExpectedLoss => ({ first, count, what, mapped: true });
  const subject = (name: string, { clusters, disk }: typeof both, losses: readonly ExpectedLoss[]): Subject => ({
    name: `extended L2 entries: ${name}`,
    image: { bytes: build(clusters) },
    disk,
    unit: size / 32,
    lost: losses,
  });
  return [
    subject('both allocated and zero', both, [lost(32, 32, 'L2 entry')]),
    subject('allocated, without a cluster', nowhere, [lost(32, 64, 'L2 entry')]),
    subject('subclusters past the end', past, [lost(32, 1, 'data cluster'), lost(35, 1, 'data cluster')]),
  ];
}

/** An external data file. */
function external(): Subject[] {
  const size = 16 * CLUSTER;
  const numbers = [0, 1, 2, 3, 6];
  const disk = new Uint8Array(size);
  for (const cluster of numbers) disk.set(noiseOf(cluster + 1, CLUSTER), cluster * CLUSTER);
  const clusters = new Map<number, Cell>(
    numbers.map((cluster) => [cluster, { kind: 'entry', entry: COPIED | BigInt(cluster * CLUSTER) }]),
  );
  clusters.set(2, { kind: 'entry', entry: COPIED | BigInt(9 * CLUSTER) });
  clusters.set(6, { kind: 'entry', entry: (1n << 62n) | 4096n });
  const extension = { type: 0x44415441, data: new TextEncoder().encode('data') };
  const { bytes } = buildImage({ clusterBits: 12, size, clusters, incompatible: 4n, extensions: [extension] });
  const bad = [{ at: 3 * CLUSTER, length: 1 }];
  return [
    {
      name: 'an external data file',
      image: { bytes },
      others: { data: { bytes: disk.slice(), bad, format: 'raw' } },
      disk,
      unit: CLUSTER,
      lost: [
        { first: 2, count: 1, ...L2 },
        { first: 3, count: 1, ...FILE, what: 'data file' },
        { first: 6, count: 1, ...L2 },
      ],
    },
  ];
}

/** Every damaged image. */
export function subjects(): readonly Subject[] {
  return [...tables(), ...l2Entries(), ...streams(), ...files(), ...chains(), ...extended(), ...external()];
}
