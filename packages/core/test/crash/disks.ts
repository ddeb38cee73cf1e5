/** Owns the images that crash workloads begin with: small ones, of every kind that the writer treats in its own way. */
import { readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { bufferDevice, type CreateOptions, Qcow2Image } from '../../src/index.js';
import { loadGolden } from '../golden/golden.js';
import { buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { halfNoiseOf, noiseOf } from '../support/numbers.js';

/** An image to begin with, and the disk that it holds. */
export interface StartDisk {
  readonly image: Uint8Array;
  readonly data: Uint8Array | null;
  readonly backing: Uint8Array | null;
  readonly guest: Uint8Array;
  /** The disk of its snapshot, when it has one. */
  readonly snapshot: Uint8Array | null;
}

/** A kind of image. */
export interface DiskKind {
  readonly name: string;
  readonly clusterSize: number;
  /** The part of the disk that a workload touches, when it is not all of it. */
  readonly window?: { readonly offset: number; readonly length: number };
  /** How many changes a workload makes. */
  readonly changes: number;
  /** Discards are left out: version 2 has no way to say that a backing file does not show through. */
  readonly noDiscard?: boolean;
  make(): Promise<StartDisk>;
}

const KiB = 1024;

/** An image that the engine made, with some of its clusters written before the workload begins. */
function created(name: string, options: CreateOptions, changes: number, more: Partial<Setting> = {}): DiskKind {
  const clusterSize = options.clusterSize ?? 64 * KiB;
  const { window, noDiscard, backing = null, fill = [] } = more;
  return {
    name,
    clusterSize,
    changes,
    ...(window === undefined ? {} : { window }),
    ...(noDiscard === undefined ? {} : { noDiscard }),
    async make() {
      const device = bufferDevice();
      const data = options.dataFile === undefined ? null : bufferDevice();
      const resolve = async ({ kind }: { kind: 'backing' | 'data' }) => (kind === 'data' ? data : backing) ?? undefined;
      const guest = new Uint8Array(options.size);
      guest.set((backing ?? new Uint8Array(0)).subarray(0, options.size));
      const image = await Qcow2Image.create(device, { ...options, resolve });
      for (const [cluster, count] of fill) {
        const bytes = noiseOf(cluster, Math.min(count * clusterSize, options.size - cluster * clusterSize));
        guest.set(bytes, cluster * clusterSize);
        await image.write(cluster * clusterSize, bytes);
      }
      await image.flush();
      const dataBytes = data?.bytes() ?? null; // before it is closed with the image
      await image.close();
      return { image: device.bytes(), data: dataBytes, backing, guest, snapshot: null };
    },
  };
}

/** What more there is to say of a created image. */
interface Setting {
  readonly window: { readonly offset: number; readonly length: number };
  readonly noDiscard: boolean;
  readonly backing: Uint8Array;
  /** Runs of clusters that are written first: the first cluster of each, and how many. */
  readonly fill: readonly (readonly [number, number])[];
}

/** An image that the test builder laid out, which can do what the engine cannot: compressed clusters and snapshots. */
function built(name: string, plan: ImagePlan & { size: number; clusterBits: number }, changes: number): DiskKind {
  const clusterSize = 2 ** plan.clusterBits;
  return {
    name,
    clusterSize,
    changes,
    async make() {
      const guest = new Uint8Array(plan.size);
      const clusters = new Map<number, Cell>();
      for (let cluster = 0; cluster * clusterSize < plan.size; cluster++) {
        const bytes = halfNoiseOf(cluster, clusterSize);
        const cell = cellOf(cluster, bytes, plan.compatible !== undefined);
        if (cell === null) continue;
        clusters.set(cluster, cell);
        if (cell.kind !== 'zero') guest.set(bytes, cluster * clusterSize);
      }
      const { bytes: image } = buildImage({ ...plan, clusters });
      const snapshot = plan.snapshots === undefined ? null : guest.slice();
      return { image, data: null, backing: null, guest, snapshot };
    },
  };
}

/** A cell of each sort in turn; `alone` leaves out the compressed ones, which share clusters. */
function cellOf(cluster: number, bytes: Uint8Array, alone: boolean): Cell | null {
  switch (cluster % 7) {
    case 0:
    case 1:
      return { kind: 'data', bytes };
    case 2:
      return { kind: 'zero', allocated: true };
    case 3:
      return { kind: 'zero', allocated: false };
    case 4:
      return null;
    default:
      return alone
        ? { kind: 'data', bytes }
        : { kind: 'compressed', payload: deflateRawSync(bytes, { windowBits: 12 }) };
  }
}

/** A golden image with bitmaps, made by qemu-img. */
function bitmaps(changes: number): DiskKind {
  return {
    name: 'bitmaps',
    clusterSize: 64 * KiB,
    changes,
    window: { offset: 512 * KiB, length: 768 * KiB },
    async make() {
      const golden = loadGolden().find(({ name }) => name === 'bitmaps')!;
      const image = new Uint8Array(readFileSync(golden.file));
      const disk = await Qcow2Image.open(image);
      const guest = new Uint8Array(disk.size);
      await disk.read(0, guest);
      return { image, data: null, backing: null, guest, snapshot: null };
    },
  };
}

/** An autoclear feature of some later version. */
const AUTOCLEAR = 1n << 40n;
const snapshots = [{ id: '1', name: 'one' }];
/** The second of these has its offset at the end of one sector, and its length in the next. */
const acrossSectors = [
  { name: 'a'.repeat(480), flags: 2, bits: null },
  { name: 'across', flags: 0, bits: new Uint8Array(512).fill(0x24, 0, 8) },
];
const shorter = noiseOf(77, 45 * 512 + 100);

/** Every kind. */
export const DISK_KINDS: readonly DiskKind[] = [
  created('512', { size: 96 * 512, clusterSize: 512 }, 40),
  created('4k', { size: 256 * KiB, clusterSize: 4 * KiB }, 40, { fill: [[3, 9]] }),
  created('64k', { size: 640 * KiB, clusterSize: 64 * KiB }, 24, { fill: [[2, 3]] }),
  created('v2', { size: 128 * KiB, clusterSize: 2 * KiB, version: 2 }, 40, { fill: [[3, 9]] }),
  created('refcounts of 1 bit', { size: 128 * 512, clusterSize: 512, refcountBits: 1 }, 40, { fill: [[0, 20]] }),
  created('refcounts of 4 bits', { size: 128 * KiB, clusterSize: KiB, refcountBits: 4 }, 40, { fill: [[0, 20]] }),
  created('refcounts of 64 bits', { size: 256 * 512, clusterSize: 512, refcountBits: 64 }, 40, { fill: [[0, 46]] }),
  created('many tables', { size: 1536 * KiB, clusterSize: 512 }, 60),
  created('a growing refcount table', { size: 2600 * KiB, clusterSize: 512, refcountBits: 64 }, 30, {
    fill: [[0, 3950]],
    window: { offset: 1970 * KiB, length: 600 * KiB },
  }),
  created(
    'a growing refcount table, lazy',
    { size: 2600 * KiB, clusterSize: 512, refcountBits: 64, lazyRefcounts: true },
    30,
    { fill: [[0, 3950]], window: { offset: 1970 * KiB, length: 600 * KiB } },
  ),
  created('lazy refcounts', { size: 96 * KiB, clusterSize: KiB, lazyRefcounts: true }, 40, { fill: [[3, 9]] }),
  created('extended L2', { size: 512 * KiB, clusterSize: 16 * KiB, extendedL2: true }, 40, { fill: [[3, 4]] }),
  created(
    'a shorter backing file',
    { size: 96 * KiB, clusterSize: 4 * KiB, backingFile: 'base', backingFormat: 'raw' },
    40,
    {
      backing: shorter,
    },
  ),
  created(
    'extended L2 over a backing file',
    { size: 256 * KiB, clusterSize: 16 * KiB, extendedL2: true, backingFile: 'base', backingFormat: 'raw' },
    40,
    { backing: shorter },
  ),
  created(
    'v2 over a backing file',
    { size: 48 * KiB, clusterSize: 512, version: 2, backingFile: 'base', backingFormat: 'raw' },
    40,
    { backing: shorter, noDiscard: true },
  ),
  created('a data file', { size: 128 * KiB, clusterSize: 4 * KiB, dataFile: 'data' }, 40),
  created('a raw data file', { size: 128 * KiB, clusterSize: 4 * KiB, dataFile: 'data', dataFileRaw: true }, 40),
  built('compressed', { size: 160 * KiB, clusterBits: 12 }, 40),
  built('compressed, of 512', { size: 48 * KiB, clusterBits: 9 }, 40),
  built('a snapshot', { size: 160 * KiB, clusterBits: 12, snapshots }, 40),
  built('a snapshot, of 512', { size: 80 * 512, clusterBits: 9, snapshots, refcountOrder: 2 }, 40),
  built('a snapshot behind free clusters', { size: 96 * KiB, clusterBits: 12, snapshots, free: 20 }, 40),
  built(
    'a snapshot behind free clusters, of 512',
    { size: 160 * 512, clusterBits: 9, snapshots, refcountOrder: 2, free: 70 },
    40,
  ),
  built('a snapshot, lazy', { size: 96 * KiB, clusterBits: 12, snapshots, compatible: 1n }, 40),
  built('an unknown autoclear bit', { size: 96 * KiB, clusterBits: 12, autoclear: AUTOCLEAR, compatible: 0n }, 30),
  built('a bitmap across sectors', { size: 80 * 512, clusterBits: 9, bitmaps: acrossSectors, refcountOrder: 6 }, 40),
  bitmaps(20),
];
