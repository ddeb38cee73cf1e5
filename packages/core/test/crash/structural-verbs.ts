/**
 * Lists the verbs that change the structure of an image, as crash workloads call them: for each how a call is drawn,
 * and what it makes of the disk. A further one is one more line of {@link STRUCTURAL_VERBS}.
 */
import type { OperationOptions, Qcow2Image } from '../../src/index.js';
import { get } from '../support/big-endian.js';
import type { DiskKind, StartDisk } from './disks.js';

/** The disk that a verb is called on; sizes in bytes. */
export interface StructuralDisk {
  readonly size: number;
  readonly startSize: number;
  readonly clusterSize: number;
  /** What one L2 table maps, and what an L1 table of one cluster does. */
  readonly tableReach: number;
  readonly clusterReach: number;
  readonly backingSize: number;
  /** No disk with bitmaps can be of no bytes. */
  readonly hasBitmaps: boolean;
  /** The guest's bytes are in another file, which is as long as the disk. */
  readonly external: boolean;
}

/** One call of a verb. */
export interface StructuralCall {
  /** For people. */
  readonly what: string;
  /** Size of the disk after it, bytes. What it adds reads as zeros, and nothing else changes. */
  readonly size: number;
  run(image: Qcow2Image, options: OperationOptions): Promise<unknown>;
}

/** A verb. */
export interface StructuralVerb {
  readonly name: string;
  /** Images that are judged, as a share of those of other verbs. */
  readonly share: number;
  draw(next: () => number, disk: StructuralDisk): StructuralCall;
  /** The code of the error with which it refuses an image, and changes nothing; null when it does not. */
  refuses(start: StartDisk): string | null;
}

const KiB = 1024;
const SECTOR = 512;
/** The longest disk whose bytes are in another file: a recording keeps all of it. */
const MAX_EXTERNAL = 4 * KiB * KiB;
/** The longest disk: bitmaps of a longer one take much time to read. */
const MAX_SIZE = 40 * 2 ** 30;

/** Makes a size to change to from the disk as it is, and from numbers below what is asked for. */
type Sizing = (disk: StructuralDisk, draw: (below: number) => number) => number;

/** Far enough for tables of bitmaps to move, where clusters are small. */
const far: Sizing = ({ clusterReach }, draw) => (64 + draw(3)) * clusterReach;
const back: Sizing = ({ startSize }) => startSize;
const part: Sizing = ({ startSize }, draw) => draw(Math.max(1, startSize / SECTOR)) * SECTOR;

const SIZINGS: readonly Sizing[] = [
  // Within the last cluster, either way.
  ({ size }, draw) => size + SECTOR * (1 + draw(3)),
  ({ size }, draw) => size - SECTOR * (1 + draw(3)),
  // By clusters, and to an odd sector.
  ({ size, clusterSize }, draw) => size + (1 + draw(9)) * clusterSize + SECTOR * draw(3),
  ({ size, clusterSize }, draw) => size - (1 + draw(9)) * clusterSize - SECTOR * draw(3),
  // To where clusters and tables end.
  ({ size, clusterSize }) => Math.ceil((size + 1) / clusterSize) * clusterSize,
  ({ size, tableReach }) => Math.floor((size - 1) / tableReach) * tableReach,
  // By tables.
  ({ size, tableReach }, draw) => size + (1 + draw(3)) * tableReach,
  ({ size, tableReach }, draw) => size - (1 + draw(3)) * tableReach - SECTOR * draw(5),
  // The L1 table takes another cluster, or several, and gives them up.
  ({ clusterReach }, draw) => (1 + draw(2)) * clusterReach + draw(3) * SECTOR,
  ({ clusterReach, clusterSize }, draw) => clusterReach + draw(20) * clusterSize,
  far,
  // Around the end of the backing file.
  ({ backingSize }, draw) => backingSize + (draw(7) - 3) * SECTOR,
  () => 0,
  back,
  part,
];

/** The verb, to sizes that some of {@link SIZINGS} make. */
function resizing(name: string, sizings: readonly Sizing[]): StructuralVerb {
  return {
    name,
    share: 1,
    draw(next, disk) {
      const max = disk.external ? MAX_EXTERNAL : MAX_SIZE;
      const draw = (below: number): number => next() % Math.floor(below);
      for (;;) {
        const wanted = sizings[draw(sizings.length)]!(disk, draw);
        const size = Math.ceil(wanted / SECTOR) * SECTOR;
        if (size < (disk.hasBitmaps ? SECTOR : 0) || size > max) continue;
        const run = (image: Qcow2Image, options: OperationOptions): Promise<void> =>
          image.resize(size, { shrink: true, ...options });
        return { what: `resize ${size}`, size, run };
      }
    },
    refuses: ({ image, snapshot }) => (get(image, 4, 4) === 2n && snapshot !== null ? 'unsupported' : null),
  };
}

/** Resizing to a very long disk and back, and within the disk at first: what these show comes soon so. */
export const resizeFar: StructuralVerb = resizing('resize far', [far, back]);
export const resizeWithin: StructuralVerb = resizing('resize within', [part, back]);

/** A verb that changes nothing that a guest sees. */
function unseen(
  name: string,
  run: StructuralCall['run'],
  { share = 1, refuses = () => null }: Partial<Pick<StructuralVerb, 'share' | 'refuses'>> = {},
): StructuralVerb {
  return { name, share, draw: (_, { size }) => ({ what: name, size, run }), refuses };
}

/** The name of a snapshot that a verb takes. */
const TAKEN = 'taken by the verb';

/** No snapshot can be taken in an image with a data file, or whose clusters have one reference at most. */
function refusesSnapshots({ image, data }: StartDisk): string | null {
  const refcountBits = get(image, 4, 4) === 3n ? 2 ** Number(get(image, 96, 4)) : 16;
  return data !== null || refcountBits === 1 ? 'unsupported' : null;
}

/** Takes a snapshot, and deletes it with the next call. */
async function toggle(image: Qcow2Image, options: OperationOptions): Promise<void> {
  const taken = image.snapshots.some(({ name }) => name === TAKEN);
  if (taken) await image.deleteSnapshot({ name: TAKEN }, options);
  else await image.createSnapshot(TAKEN, options);
}

/** Goes back to a snapshot that was just taken: nothing becomes different. */
async function goBack(image: Qcow2Image, options: OperationOptions): Promise<void> {
  const { id } = await image.createSnapshot(TAKEN, options);
  if (image.bitmaps.length === 0) await image.applySnapshot({ id }, options);
  await image.deleteSnapshot({ id }, options);
}

export const compact: StructuralVerb = unseen('compact', (image, options) => image.compact(options));
export const sparsify: StructuralVerb = unseen('sparsify', (image, options) => image.sparsify(options));

export const snapshot: StructuralVerb = unseen('snapshot', toggle, { share: 0.5, refuses: refusesSnapshots });
export const applySnapshot: StructuralVerb = unseen('apply snapshot', goBack, {
  share: 0.5,
  refuses: refusesSnapshots,
});

/** Every verb. */
export const STRUCTURAL_VERBS: readonly StructuralVerb[] = [
  resizing('resize', SIZINGS),
  compact,
  sparsify,
  snapshot,
  applySnapshot,
];

/** The disk of a kind of image, at a size that it has now. */
export function structuralDisk({ clusterSize }: DiskKind, start: StartDisk, size: number): StructuralDisk {
  const extended = get(start.image, 4, 4) === 3n && (get(start.image, 72, 8) & 16n) !== 0n;
  const tableReach = (clusterSize / (extended ? 16 : 8)) * clusterSize;
  return {
    size,
    startSize: start.guest.length,
    clusterSize,
    tableReach,
    clusterReach: (clusterSize / 8) * tableReach,
    backingSize: start.backing?.length ?? 0,
    hasBitmaps: get(start.image, 4, 4) === 3n && (get(start.image, 88, 8) & 1n) !== 0n,
    external: start.data !== null,
  };
}
