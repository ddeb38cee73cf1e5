/**
 * Owns images whose tables are damaged one bit at a time, and the session of writing that must not destroy what they
 * hold.
 */

import type { OpenOptions } from '../../src/api/options.js';
import { isQcow2Error } from '../../src/errors.js';
import { bufferDevice, Qcow2Image } from '../../src/index.js';
import { get } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { noiseOf } from '../support/numbers.js';
import { everyKind, pattern, richImage } from './bases.js';

const OFFSET = 0x00ff_ffff_ffff_fe00n;

/** A structure of the file whose bits are flipped. */
export interface Target {
  readonly what: string;
  readonly at: number;
  readonly length: number;
}

/** An image, what of it is damaged, and the other file that it needs. */
export interface Subject {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly targets: readonly Target[];
  /** Guest clusters that hold the bitmap's directory and table, which a writer changes. */
  readonly shown?: readonly number[];
  readonly resolve?: () => OpenOptions['resolve'];
}

/**
 * Of the entries of a table that say anything the first, one in the middle and the last, and the first that does not.
 */
function entriesOf(bytes: Uint8Array, what: string, at: number, entries: number, stride = 8): Target[] {
  const places = Array.from({ length: entries }, (_, index) => at + index * stride);
  const isUsed = (place: number): boolean => bytes.subarray(place, place + stride).some((byte) => byte !== 0);
  const used = places.filter(isUsed);
  const chosen = [used[0], used[used.length >> 1], used.at(-1), places.find((place) => !isUsed(place))];
  return [...new Set(chosen)]
    .filter((place) => place !== undefined)
    .map((place) => ({ what, at: place, length: stride }));
}

/** Every entry of every table of a built image. */
function targetsOf(image: BuiltImage, { extendedL2 = false, refcountOrder = 4, snapshots = [] }: ImagePlan): Target[] {
  const { bytes, clusterSize } = image;
  const stride = extendedL2 ? 16 : 8;
  const tables = (what: string, at: number): Target[] => [
    ...entriesOf(bytes, `${what}L1`, at, image.l1Entries),
    ...Array.from({ length: image.l1Entries }, (_, index) => Number(get(bytes, at + index * 8, 8) & OFFSET))
      .filter((table) => table !== 0)
      .flatMap((table) => entriesOf(bytes, `${what}L2`, table, clusterSize / stride, stride)),
  ];
  const used = Math.ceil((bytes.length / clusterSize) * 2 ** (refcountOrder - 3)) + 1;
  const first = snapshots.length === 0 ? null : Number(get(bytes, image.snapshotTable, 8));
  return [
    ...tables('', image.l1),
    ...entriesOf(bytes, 'refcount table', image.refcountTable, clusterSize / 8),
    { what: 'refcount block', at: image.refcountBlocks[0]!, length: Math.min(used, 96, clusterSize) },
    ...(first === null ? [] : [{ what: 'snapshot table', at: image.snapshotTable, length: 64 }]),
    ...(first === null ? [] : tables('snapshot ', first).filter(({ what }) => what === 'snapshot L1')),
  ];
}

function built(name: string, plan: ImagePlan, resolve?: Subject['resolve']): Subject {
  const image = buildImage(plan);
  const targets = targetsOf(image, plan);
  return { name, bytes: image.bytes, targets, ...(resolve === undefined ? {} : { resolve }) };
}

const data = (size: number, seed: number): Cell => ({ kind: 'data', bytes: noiseOf(seed, size) });

/** Data in every other cluster, so that a session meets what is there and what is to be allocated; in two L2 tables. */
const striped = (size: number, clusters: number): Map<number, Cell> =>
  new Map([0, 2, 4, 6, 8, 10, clusters - 4, clusters - 2].map((cluster, step) => [cluster, data(size, step + 1)]));

const kinds = (size: number, without: readonly Cell['kind'][] = []): Map<number, Cell> =>
  new Map([...everyKind(size)].filter(([, { kind }]) => !without.includes(kind)));

const SNAPSHOTS = [
  { id: '1', name: 'one' },
  { id: '2', name: 'two' },
];

/** A disk in a data file, each cluster at its guest offset. */
function external(): Subject {
  const size = 4096;
  const clusters = new Map<number, Cell>(
    [0, 1, 3, 6].map((cluster) => [cluster, { kind: 'entry', entry: (1n << 63n) | BigInt(cluster * size) }]),
  );
  const bytes = new Uint8Array(16 * size);
  for (const cluster of [0, 1, 3, 6]) bytes.set(pattern(size, cluster), cluster * size);
  const plan: ImagePlan = { clusterBits: 12, size: 16 * size, clusters, incompatible: 4n };
  return built('a data file', plan, () => {
    // Images close what was handed over for them, and several look at it in turn.
    const device = Object.assign(bufferDevice(bytes), { close: () => {} });
    return async () => ({ source: device, format: 'raw' });
  });
}

/** Version 3, two snapshots, a bitmap that follows every write. */
function rich(): Subject {
  const image = richImage();
  const directory = Number(get(image.bytes, image.extensions[1]! + 24, 8));
  const table = Number(get(image.bytes, directory, 8));
  const targets = [
    ...targetsOf(image, { snapshots: SNAPSHOTS }),
    { what: 'bitmap directory', at: directory, length: 32 },
    { what: 'bitmap table', at: table, length: 8 },
  ];
  return { name: 'snapshots and a bitmap', bytes: image.bytes, targets, shown: [12, 13] };
}

/** The images: cluster sizes, widths of refcounts, versions, kinds of entries. */
export function subjects(): readonly Subject[] {
  const small = { clusterBits: 9, size: 72 * 512, clusters: striped(512, 72) };
  return [
    built('512-byte clusters, 16-bit refcounts', small),
    built('512-byte clusters, 1-bit refcounts', { ...small, refcountOrder: 0 }),
    built('512-byte clusters, 64-bit refcounts', { ...small, refcountOrder: 6 }),
    built('512-byte clusters, 8-bit refcounts, snapshots', { ...small, refcountOrder: 3, snapshots: SNAPSHOTS }),
    built('version 2', { version: 2, clusterBits: 9, size: 80 * 512, clusters: kinds(512, ['zero']) }),
    built('4 KiB clusters, every kind', { clusterBits: 12, size: 16 * 4096, clusters: kinds(4096) }),
    built('4 KiB clusters, 64-bit refcounts, every kind, snapshots', {
      clusterBits: 12,
      size: 16 * 4096,
      clusters: kinds(4096),
      refcountOrder: 6,
      snapshots: SNAPSHOTS,
    }),
    built('extended L2 entries', {
      clusterBits: 14,
      size: 16 * 16_384,
      extendedL2: true,
      clusters: kinds(16_384).set(1, { kind: 'data', bytes: pattern(16_384, 2), bitmap: 0x00ff_0000_ff00_00ffn }),
    }),
    external(),
    rich(),
  ];
}

/** One bit of a structure. */
export interface Damage {
  readonly target: Target;
  /** Counted from the first byte's most significant bit. */
  readonly bit: number;
}

export function* damages({ targets }: Subject): Generator<Damage> {
  for (const target of targets) for (let bit = 0; bit < target.length * 8; bit++) yield { target, bit };
}

export function flipped(bytes: Uint8Array, { target, bit }: Damage): Uint8Array {
  const copy = bytes.slice();
  copy[target.at + (bit >> 3)]! ^= 0x80 >> (bit & 7);
  return copy;
}

/** What `check` says of an image: the names of its faults, or that it cannot even be looked at. */
export async function faultsOf(bytes: Uint8Array): Promise<readonly string[]> {
  try {
    await using image = await Qcow2Image.open(bytes);
    const { corruptions, checkErrors, extra, findings } = await image.check();
    if (corruptions + checkErrors + extra === 0) return [];
    return [...new Set(findings.filter(({ kind }) => kind !== 'leak').map(({ fault }) => fault))];
  } catch (error) {
    if (isQcow2Error(error)) return [error.code];
    throw error;
  }
}

/** The clusters of the disk and of its snapshots; null for one that cannot be read. */
interface Disks {
  readonly active: readonly (string | null)[];
  readonly snapshots: readonly (readonly (string | null)[] | null)[];
}

async function clustersOf(image: Qcow2Image): Promise<(string | null)[]> {
  const { clusterSize } = image.info;
  const disk = new Uint8Array(image.size);
  const text = (from: number): string => Buffer.from(disk.subarray(from, from + clusterSize)).toString('latin1');
  const places = Array.from({ length: Math.ceil(image.size / clusterSize) }, (_, cluster) => cluster * clusterSize);
  const whole = await image.read(0, disk).then(
    () => true,
    () => false,
  );
  if (whole) return places.map(text);
  const found: (string | null)[] = [];
  for (const at of places) {
    const readable = await image.read(at, disk.subarray(at, at + clusterSize)).then(
      () => true,
      () => false,
    );
    found.push(readable ? text(at) : null);
  }
  return found;
}

async function disksOf(source: Uint8Array, resolve: OpenOptions['resolve']): Promise<Disks | null> {
  try {
    await using image = await Qcow2Image.open(source, { resolve });
    const snapshots = [];
    for (const { id } of image.snapshots) {
      const view = await image.openSnapshot({ id }).catch(() => null);
      snapshots.push(view === null || view.size > 2 ** 20 ? null : await clustersOf(view));
    }
    return { active: await clustersOf(image), snapshots };
  } catch (error) {
    if (isQcow2Error(error)) return null;
    throw error;
  }
}

/**
 * Whether each byte is the old one or, where it was written, the new one: a session that was refused has not flushed
 * all.
 */
function isBetween(now: string | null | undefined, old: string | null, fresh = old): boolean {
  if (typeof now !== 'string' || old === null || fresh === null) return now === old;
  for (let at = 0; at < now.length; at++) if (now[at] !== old[at] && now[at] !== fresh[at]) return false;
  return true;
}

/** How a session ended, and what it destroyed: nothing, if all is well. */
export interface Session {
  readonly refused: boolean;
  readonly destroyed: readonly string[];
}

/** Whether an image can be opened for writing; one that cannot be is as it was. */
export async function openedToWrite({ resolve }: Subject, bytes: Uint8Array): Promise<boolean> {
  const device = bufferDevice(bytes);
  try {
    await using image = await Qcow2Image.open(device, { mode: 'readwrite', resolve: resolve?.() });
    return image.size > 0;
  } catch (error) {
    if (Buffer.compare(device.bytes(), bytes) !== 0) throw new Error('A refused image was changed.');
    return !typed(error);
  }
}

function typed(error: unknown): true {
  if (!isQcow2Error(error)) throw error;
  return true;
}

/**
 * Writes the clusters of the disk in the order given, flushing in the middle and at the end, and looks at what is left:
 * what was written reads as written, or as before where the session was refused; everything else, snapshots too, reads
 * as before. `verify` as at open.
 */
export async function writeSession(
  { resolve, shown = [] }: Subject,
  bytes: Uint8Array,
  orderOf: (clusters: number) => readonly number[],
  verify: boolean,
): Promise<Session> {
  const resolving = resolve?.();
  const before = await disksOf(bytes, resolving);
  if (before === null) return { refused: true, destroyed: [] };
  const device = bufferDevice(bytes);
  let image: Qcow2Image;
  try {
    image = await Qcow2Image.open(device, { mode: 'readwrite', verify, resolve: resolving });
  } catch (error) {
    return { refused: typed(error), destroyed: [] };
  }
  const { clusterSize } = image.info;
  const written = new Map<number, string>();
  let refused = false;
  const attempt = (work: Promise<void>): Promise<boolean> =>
    work.then(
      () => true,
      (error) => {
        refused = typed(error);
        return false;
      },
    );
  const order = orderOf(before.active.length);
  for (const [step, cluster] of order.entries()) {
    const fresh = noiseOf(1000 + cluster, Math.min(clusterSize, image.size - cluster * clusterSize));
    if (await attempt(image.write(cluster * clusterSize, fresh))) {
      written.set(cluster, Buffer.from(fresh).toString('latin1'));
    }
    if (step === order.length >> 1) await attempt(image.flush());
  }
  await attempt(image.flush());
  await attempt(image.close());
  const after = await disksOf(device.bytes(), resolving);
  if (after === null) return { refused, destroyed: ['everything'] };
  const destroyed = before.active.flatMap((old, cluster) => {
    const now = after.active[cluster];
    const fresh = written.get(cluster);
    const right = refused ? isBetween(now, old, fresh) : now === (fresh ?? old);
    return right || old === null || shown.includes(cluster) ? [] : [`cluster ${cluster}`];
  });
  before.snapshots.forEach((disk, index) => {
    disk?.forEach((old, cluster) => {
      if (shown.includes(cluster)) return;
      if (old !== null && after.snapshots[index]?.[cluster] !== old) destroyed.push(`snapshot ${index}, ${cluster}`);
    });
  });
  return { refused, destroyed };
}
