/**
 * Builds the kinds of image that are products of features: every set of features that one image can have at once. What
 * cannot be together, and why, is in {@link EXCLUDED}; docs/durability.md shows both as a table, and a test compares.
 */
import { deflateRawSync } from 'node:zlib';
import { buildImage, type Cell, type HeaderExtension, type ImagePlan } from '../support/image-builder.js';
import { halfNoiseOf, noiseOf } from '../support/numbers.js';
import type { DiskKind, StartDisk } from './disks.js';

/** A feature that the writer treats in its own way. */
export const FEATURES = [
  'lazy refcounts',
  'a growing refcount table',
  'bitmaps',
  'a snapshot',
  'a backing file',
  'a data file',
  'a raw data file',
  'extended L2',
  'compressed',
  'v2',
] as const;

/** One of {@link FEATURES}. */
export type Feature = (typeof FEATURES)[number];

/** Pairs that no image of these tests can have, and why. */
export const EXCLUDED: readonly (readonly [Feature, Feature, string])[] = [
  ['a growing refcount table', 'extended L2', 'too long'],
  ['a snapshot', 'a data file', 'format'],
  ['a snapshot', 'a raw data file', 'format'],
  ['a backing file', 'a raw data file', 'format'],
  ['a data file', 'a raw data file', 'one of two'],
  ['compressed', 'a data file', 'format'],
  ['compressed', 'a raw data file', 'format'],
  ...(['lazy refcounts', 'bitmaps', 'a data file', 'a raw data file', 'extended L2'] as const).map(
    (feature) => [feature, 'v2', 'version 3'] as const,
  ),
];

/** Whether the guest's bytes are in another file. */
function isExternal(features: ReadonlySet<Feature>): boolean {
  return features.has('a data file') || features.has('a raw data file');
}

/** Why two features cannot be together; null when they can. */
export function excluded(one: Feature, other: Feature): string | null {
  const found = EXCLUDED.find(
    ([first, second]) => (first === one && second === other) || (first === other && second === one),
  );
  return found?.[2] ?? null;
}

/** A kind that is a product of features. */
export interface ProductKind extends DiskKind {
  readonly features: ReadonlySet<Feature>;
}

/** Every set of features without an excluded pair. */
function products(): ReadonlySet<Feature>[] {
  let sets: Feature[][] = [[]];
  for (const feature of FEATURES) {
    const added = sets.filter((set) => set.every((other) => excluded(feature, other) === null));
    sets = [...sets, ...added.map((set) => [...set, feature])];
  }
  return sets.map((set) => new Set(set));
}

/** Refcount blocks that a table of one cluster names, and clusters that a block counts, at clusters of 512. */
const ENTRIES = 512 / 8;
const perBlock = (order: number): number => (512 * 8) / 2 ** order;
/** Clusters that are free before the table must move: a workload uses more, but for one that allocates hardly any. */
const roomOf = (features: ReadonlySet<Feature>): number => (isExternal(features) ? 0 : 6);
const snapshots = [{ id: '1', name: 'one' }];
const COPIED = 1n << 63n;

/**
 * Extended L2 entries need clusters of 16 KiB; all others have the smallest, so that there are many refcount blocks and
 * tables.
 */
function product(features: ReadonlySet<Feature>): ProductKind {
  const has = (feature: Feature): boolean => features.has(feature);
  const clusterBits = has('extended L2') ? 14 : 9;
  const clusterSize = 2 ** clusterBits;
  const size = has('extended L2') ? 10 * clusterSize + 512 * 9 : 90 * clusterSize;
  return {
    name: features.size === 0 ? 'no feature' : [...features].join(' + '),
    features,
    clusterSize,
    changes: 30,
    // Version 2 cannot say that a backing file does not show through.
    noDiscard: has('v2') && has('a backing file'),
    async make() {
      const backing = has('a backing file') ? noiseOf(77, Math.floor(size / 2) + 100) : null;
      const guest = new Uint8Array(size);
      if (backing !== null) guest.set(backing);
      const data = isExternal(features) ? new Uint8Array(size) : null;
      const clusters = new Map<number, Cell>();
      for (let cluster = 0; cluster * clusterSize < size; cluster++) {
        const cell = cellOf(features, cluster, clusterSize, guest, data);
        if (cell !== null) clusters.set(cluster, cell);
      }
      const plan = planOf(features, { size, clusterBits, clusters });
      const image = buildImage(
        has('a growing refcount table') ? { ...plan, leaked: leakedFor(features, plan) } : plan,
      ).bytes;
      const snapshot = has('a snapshot') ? guest.slice() : null;
      return { image, data, backing, guest, snapshot } satisfies StartDisk;
    },
  };
}

function planOf(features: ReadonlySet<Feature>, plan: ImagePlan): ImagePlan {
  const has = (feature: Feature): boolean => features.has(feature);
  const text = (name: string): Uint8Array => new TextEncoder().encode(name);
  const extensions: HeaderExtension[] = [];
  if (has('a backing file')) extensions.push({ type: 0xe2792aca, data: text('raw') });
  const external = isExternal(features);
  if (external) extensions.push({ type: 0x44415441, data: text('data') });
  const bitmaps = [
    { name: 'new', flags: 2, bits: null },
    { name: 'old', flags: 2, bits: new Uint8Array(512).fill(0x11, 0, 8) },
    { name: 'still', flags: 0, bits: new Uint8Array(512).fill(0x24, 0, 11) },
  ];
  return {
    ...plan,
    version: has('v2') ? 2 : 3,
    refcountOrder: orderOf(features),
    extendedL2: has('extended L2'),
    incompatible: external ? 4n : 0n,
    compatible: has('lazy refcounts') ? 1n : 0n,
    autoclear: (has('bitmaps') ? 1n : 0n) | (has('a raw data file') ? 2n : 0n),
    extensions,
    ...(has('a backing file') ? { backingName: 'base' } : {}),
    ...(has('a snapshot') ? { snapshots } : {}),
    ...(has('bitmaps') ? { bitmaps } : {}),
  };
}

/** Refcounts of 64 bits: few of them fill a block, and few blocks a table. */
function orderOf(features: ReadonlySet<Feature>): number {
  return features.has('v2') ? 4 : 6;
}

/** How many clusters are leaked, so that the refcount table is nearly full: leaks cost a check nothing. */
function leakedFor(features: ReadonlySet<Feature>, plan: ImagePlan): number {
  const built = buildImage(plan);
  const used = built.bytes.length / 512 - built.refcountBlocks.length;
  return ENTRIES * perBlock(orderOf(features)) - roomOf(features) - ENTRIES - used;
}

/**
 * A cell of each sort in turn; puts what the guest reads there into `guest`, and into `data` when that is an external
 * file.
 */
function cellOf(
  features: ReadonlySet<Feature>,
  cluster: number,
  clusterSize: number,
  guest: Uint8Array,
  data: Uint8Array | null,
): Cell | null {
  const at = cluster * clusterSize;
  const there = guest.subarray(at, at + clusterSize);
  const bytes = halfNoiseOf(cluster, clusterSize);
  const zero = cluster % 7 === 2 || cluster % 7 === 3;
  if (cluster % 7 === 4 || (zero && features.has('v2'))) return null;
  // Only a new L2 table takes a cluster then: there is none yet for the second half of the disk.
  if (isExternal(features) && features.has('a growing refcount table') && cluster >= ENTRIES) return null;
  if (zero) there.fill(0);
  else there.set(bytes.subarray(0, there.length));
  if (data !== null) {
    if (!zero) data.set(there, at);
    if (cluster % 7 === 3 && !features.has('a raw data file')) return { kind: 'zero', allocated: false };
    return externalCell(features, at, zero);
  }
  if (zero) return { kind: 'zero', allocated: cluster % 7 === 2 };
  if (cluster % 7 > 4 && features.has('compressed')) {
    return { kind: 'compressed', payload: deflateRawSync(bytes, { windowBits: 12 }) };
  }
  return { kind: 'data', bytes };
}

/** An entry of an external data file: the host offset is the guest's, and the cluster is owned. */
function externalCell(features: ReadonlySet<Feature>, at: number, zero: boolean): Cell {
  if (!features.has('extended L2')) return { kind: 'entry', entry: COPIED | BigInt(at) | (zero ? 1n : 0n) };
  return { kind: 'entry', entry: COPIED | BigInt(at), bitmap: zero ? 0xffff_ffffn << 32n : 0xffff_ffffn };
}

/** Every product. */
export const PRODUCT_KINDS: readonly ProductKind[] = products().map(product);
