/**
 * The methods of an image that a reader seldom calls, by their names. They are loaded with the first call of one of
 * them; what is long has a module of its own.
 */
import type { CheckOptions, CheckReport } from '../api/check-report.js';
import type { DigestOptions, HashAlgorithm } from '../api/hash.js';
import type { CompactReport, ImageStats, SnapshotInfo, SparsifyReport } from '../api/info.js';
import type {
  CreateSnapshotOptions,
  DehydrateOptions,
  MapOptions,
  OperationOptions,
  ResizeOptions,
} from '../api/options.js';
import type { Extent, Range } from '../api/range.js';
import type { RepairOptions, RepairReport } from '../api/repair-report.js';
import type { SnapshotReference } from '../api/snapshot-reference.js';
import type { Usage } from '../api/usage.js';
import { requireKind, requireOptions } from '../arguments.js';
import type { Qcow2Layer } from '../engine/layer/layer.js';
import { requireInside } from '../engine/mapping/guest-range.js';
import type { Writer } from '../engine/write/writer.js';
import { Qcow2Error } from '../errors.js';
import type { Batches } from './batch-iterator.js';
import { compactImage } from './compact/compact.js';
import type { StreamSource } from './lazy-stream.js';
import type { OpenedImage } from './open/opened-image.js';
import type { Writing } from './open/opening.js';
import { resizeDisk } from './resize/resize.js';
import { sparsifyDisk } from './sparsify/sparsify.js';
import { requireReference, requireSnapshot, requireSnapshotName } from './verb-arguments.js';

// Here, since another import of it would split the modules of a reader into more chunks (decisions/0008).
export { AutoCompaction } from './compact/auto-compaction.js';

/** An open image, as its methods see it. `View` is a handle of the disk of a snapshot. */
export interface OpenImage<View = unknown> {
  readonly opened: OpenedImage;
  /** The image itself; for the disk of a snapshot that of its file. */
  readonly whole: OpenedImage;
  /** Throws when the image is no longer open. */
  alive(): void;
  /** Throws when the image is not open for writing. */
  writing(): Writing;
  /** Makes the handle of a snapshot's disk. */
  view(layer: Qcow2Layer): View;
  /** Replaces what was read of the file. */
  reread(layer: Qcow2Layer): void;
}

/** The batches of `Disk.map` where bytes are read, or damage is passed. */
export async function mapClosely(
  { opened, alive }: OpenImage,
  start: number,
  end: number,
  options: MapOptions,
): Promise<Batches<Extent>> {
  const verb = await (options.detectZeroes ? import('./detect-zeroes.js') : import('./salvage/map.js'));
  return verb.mapBatches(opened.layer, start, end, alive, options);
}

/** The batches of `Disk.dirtyRanges`. */
export async function dirtyRanges(
  { opened, alive }: OpenImage,
  bitmap: string,
  options?: OperationOptions,
): Promise<Batches<Range>> {
  requireOptions(options);
  requireKind('bitmap', bitmap, 'a string');
  const verb = await import('./dirty-ranges.js');
  return verb.dirtyBatches(opened, bitmap, alive, options);
}

/** What fills the stream of `Disk.dehydrate`. */
export async function dehydrate({ whole, alive }: OpenImage, options?: DehydrateOptions): Promise<StreamSource> {
  const verb = await import('./dehydrate/dehydrate.js');
  return verb.dehydrate(whole, alive, options);
}

/** As `Disk.stats`. */
export function stats({ opened: { counters, write } }: OpenImage): ImageStats {
  return write === null ? { ...counters } : { ...counters, space: write.writer.spaceStats };
}

/** As `Disk.seekData`. */
export function seekData(image: OpenImage, offset: number): Promise<number | undefined> {
  return seek(image, offset, false);
}

/** As `Disk.seekHole`. */
export function seekHole(image: OpenImage, offset: number): Promise<number | undefined> {
  return seek(image, offset, true);
}

async function seek({ opened, alive }: OpenImage, offset: number, zero: boolean): Promise<number | undefined> {
  requireInside(offset, 0, opened.layer.size);
  const verb = await import('./seek.js');
  return verb.seek(opened.layer, offset, zero, alive);
}

/** As `Disk.check`. */
export async function check({ whole }: OpenImage, options?: CheckOptions): Promise<CheckReport> {
  requireOptions(options);
  const verb = await import('./check/check.js');
  return verb.checkImage(whole, options);
}

/** As `Disk.usage`. */
export async function usage({ whole }: OpenImage, options?: OperationOptions): Promise<Usage> {
  requireOptions(options);
  const verb = await import('./usage/usage.js');
  return verb.imageUsage(whole, options);
}

/** As `Qcow2Image.digest`. */
export async function digest(
  { opened, alive }: OpenImage,
  algorithm: HashAlgorithm,
  options?: DigestOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const verb = await import('./digest.js');
  return verb.digestDisk(opened.layer, algorithm, alive, options);
}

/** As `Disk.repair`. */
export async function repair({ opened, whole, reread }: OpenImage, options: RepairOptions): Promise<RepairReport> {
  if (opened.repair !== null) return opened.repair.repair(opened.layer, options, reread);
  if (opened !== whole) {
    throw new Qcow2Error('read-only', 'The disk of a snapshot cannot be repaired by itself. Repair its image.');
  }
  throw new Qcow2Error('read-only', "The image was opened in another mode. Open it with mode 'repair' to repair it.");
}

/** Runs a change after which clusters are free that automatic compaction may fill. */
async function whatFrees<Result>({ writing }: OpenImage, change: (writer: Writer) => Promise<Result>): Promise<Result> {
  const { writer, changes } = writing();
  const result = await change(writer);
  changes.spaceFreed();
  return result;
}

/** As `Disk.resize`. */
export async function resize(image: OpenImage, size: number, options?: ResizeOptions): Promise<void> {
  await whatFrees(image, (writer) => resizeDisk(writer, size, options));
}

/** As `Disk.sparsify`. */
export async function sparsify(image: OpenImage, options?: OperationOptions): Promise<SparsifyReport> {
  requireOptions(options);
  return whatFrees(image, (writer) => sparsifyDisk(writer, options));
}

/** As `Disk.compact`. */
export async function compact(image: OpenImage, options?: OperationOptions): Promise<CompactReport> {
  requireOptions(options);
  return compactImage(image.writing().writer, options);
}

/** As `Disk.createSnapshot`. */
export async function createSnapshot(
  image: OpenImage,
  name: string,
  options?: CreateSnapshotOptions,
): Promise<SnapshotInfo> {
  requireSnapshot(name, options);
  const verb = await import('./snapshots/create-snapshot.js');
  return verb.createSnapshot(image.writing().writer, name, options);
}

/** As `Disk.applySnapshot`. */
export async function applySnapshot(
  image: OpenImage,
  which: SnapshotReference,
  options?: OperationOptions,
): Promise<void> {
  requireReference(which, options);
  await whatFrees(image, async (writer) => {
    const verb = await import('./snapshots/apply-snapshot.js');
    await verb.applySnapshot(writer, which, options);
  });
}

/** As `Disk.deleteSnapshot`. */
export async function deleteSnapshot(
  image: OpenImage,
  which: SnapshotReference,
  options?: OperationOptions,
): Promise<void> {
  requireReference(which, options);
  await whatFrees(image, async (writer) => {
    const verb = await import('./snapshots/delete-snapshot.js');
    await verb.deleteSnapshot(writer, which, options);
  });
}

/** As `Disk.renameSnapshot`. */
export async function renameSnapshot(
  image: OpenImage,
  which: SnapshotReference,
  name: string,
  options?: OperationOptions,
): Promise<void> {
  requireReference(which, options);
  requireSnapshotName(name);
  const verb = await import('./snapshots/rename-snapshot.js');
  return verb.renameSnapshot(image.writing().writer, which, name, options);
}

/** As `Disk.openSnapshot`. */
export async function openSnapshot<View>(image: OpenImage<View>, which: SnapshotReference): Promise<View> {
  requireReference(which, undefined);
  const verb = await import('./open/open-snapshot.js');
  const { layer } = image.opened;
  const open = async () => {
    const view = await verb.snapshotLayer(layer, which);
    image.alive();
    layer.views.add(view);
    return view;
  };
  // What moves tables updates the disks of snapshots that are open: none may be half open meanwhile.
  return image.view(await (layer.lock === null ? open() : layer.lock.reading(open)));
}
