/** Creates an image: writes its layout to a device, in an order that never leaves half an image behind. */

import type { BlockDevice, Transfer } from '../../api/device.js';
import type { ImageReference, Resolved } from '../../api/openable.js';
import type { CreateOptions, OpenOptions } from '../../api/options.js';
import { progressOf } from '../../engine/async/progress.js';
import { withinDataFile } from '../../engine/read/data-file.js';
import { Qcow2Error } from '../../errors.js';
import {
  type ClusterRun,
  fileSizeOf,
  fillL2Table,
  fillRefcountBlock,
  headerCluster,
  type ImageLayout,
  type ImagePlan,
  l1TableBytes,
  layoutOf,
  refcountTableBytes,
} from '../../format/layout.js';
import {
  type ChainFile,
  includesFile,
  type ProvidedFile,
  refuseSecondRole,
  resolveReference,
} from '../../sources/chain-files.js';
import { closeUnopened } from '../../sources/openable.js';
import { lockForWriting, requireDevice } from '../../sources/written-files.js';
import { checkedBudgets } from '../open/open-options.js';
import { planOf } from './create-plan.js';

/** Bytes of tables that are written in one batch: bounds the memory however large the disk. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** The options of {@link createImage}. */
export type CreateImageOptions = CreateOptions & Pick<OpenOptions, 'resolve' | 'cache'>;

/**
 * The files that `resolve` returned for the names in a new image. `resolve` is called once for each; the file is used
 * again when the image is opened.
 */
interface NamedFiles {
  readonly dataFile: BlockDevice | null;
  readonly backingFile: Resolved;
}

/**
 * Writes an empty image to `device`, and opens it with `open`. The header is written last: until then the device
 * contains no image. Files that the image names belong to `open` once it has resolved them; if this throws before, they
 * are closed here.
 *
 * @throws what `open` throws; RangeError or TypeError for invalid options; {@link Qcow2Error} `exists` when the device
 *   or the data file is not empty and `overwrite` is not set, `reference-refused` when `resolve` does not return the
 *   data
 *   file, `corrupt` when two of the files are the same, `locked` when another image of this process writes to one of
 *   them; all these before anything is changed. What the device throws; the signal's reason.
 */
export async function createImage<T>(
  device: BlockDevice,
  options: CreateImageOptions,
  open: (options: OpenOptions) => Promise<T>,
): Promise<T> {
  requireDevice('device', device);
  const layout = layoutOf(planOf(options));
  checkedBudgets(options);
  options.signal?.throwIfAborted();
  const files: ChainFile[] = [{ openable: device, reference: null }];
  /** The files that `open` has resolved, and closes itself. */
  const resolvedKinds = new Set<ImageReference['kind']>();
  try {
    const named = await writeImage(device, layout, options, files);
    return await open(openOptions(named, options, resolvedKinds));
  } catch (error) {
    const unopened = files.filter(({ reference }) => reference !== null && !resolvedKinds.has(reference.kind));
    // The first error matters more than a failed close.
    await Promise.allSettled(unopened.map(({ openable }) => closeUnopened(openable)));
    throw error;
  }
}

/** Throws if a device or data file is not empty, unless `overwrite` is set. */
function requireEmpty(what: 'device' | 'data file', { size }: BlockDevice, { overwrite }: CreateImageOptions): void {
  if (overwrite || size === 0) return;
  throw new Qcow2Error('exists', `The ${what} contains ${size} bytes. Pass overwrite: true to replace them.`, {
    what,
    size,
  });
}

/**
 * Writes everything, as the only writer of the device and the data file. Adds the resolved files to `files`, and
 * returns them.
 */
async function writeImage(
  device: BlockDevice,
  layout: ImageLayout,
  options: CreateImageOptions,
  files: ChainFile[],
): Promise<NamedFiles> {
  const header = headerCluster(layout);
  const releases = [lockForWriting(device, 'image')];
  try {
    requireEmpty('device', device, options);
    const dataFile = await dataFileOf(layout.plan, options, files);
    if (dataFile !== null) {
      releases.push(lockForWriting(dataFile, 'data file'));
      requireEmpty('data file', dataFile, options);
    }
    const backingFile = await backingFileOf(layout.plan, options, files);
    options.signal?.throwIfAborted();
    if (dataFile !== null) await clearDataFile(dataFile, layout.plan);
    await device.truncate(0);
    await device.truncate(fileSizeOf(layout));
    await writeTables(device, layout, options);
    await device.flush();
    await device.write([{ at: 0, bytes: header }]);
    await device.flush();
    return { dataFile, backingFile };
  } finally {
    for (const release of releases) release();
  }
}

function openOptions(
  { dataFile, backingFile }: NamedFiles,
  { signal, cache, resolve }: CreateImageOptions,
  resolvedKinds: Set<ImageReference['kind']>,
): OpenOptions {
  return {
    mode: 'readwrite',
    signal,
    cache,
    // It contains only what was written just now.
    verify: false,
    async resolve(reference) {
      const { kind, parent } = reference;
      if (parent !== undefined) return resolve?.(reference);
      resolvedKinds.add(kind);
      return kind === 'data' ? (dataFile ?? undefined) : backingFile;
    },
  };
}

async function writeTables(device: BlockDevice, layout: ImageLayout, options: CreateImageOptions): Promise<void> {
  const { refcountTable, refcountBlocks, l1Table, l2Tables, geometry } = layout;
  const total =
    (refcountTable.clusters + refcountBlocks.clusters + l1Table.clusters + l2Tables.clusters) * geometry.clusterSize;
  const progress = progressOf(options, 'create', total);
  const table: Transfer = { at: refcountTable.at, bytes: refcountTableBytes(layout) };
  const l1: Transfer = { at: l1Table.at, bytes: l1TableBytes(layout) };
  await device.write(l1.bytes.length === 0 ? [table] : [table, l1]);
  let done = table.bytes.length + l1.bytes.length;
  progress(done);
  const runs = [
    { run: refcountBlocks, fill: fillRefcountBlock },
    { run: l2Tables, fill: fillL2Table },
  ];
  for (const { run, fill } of runs) {
    for await (const bytes of writeRun(device, layout, run, fill)) {
      options.signal?.throwIfAborted();
      done += bytes;
      progress(done);
    }
  }
}

/** Writes a run of clusters in batches, each filled by its index; yields the bytes of each batch. */
async function* writeRun(
  device: BlockDevice,
  layout: ImageLayout,
  { at, clusters }: ClusterRun,
  fill: (layout: ImageLayout, index: number, cluster: Uint8Array) => void,
): AsyncGenerator<number, void, undefined> {
  const { clusterSize } = layout.geometry;
  const perBatch = Math.max(1, BATCH_BYTES / clusterSize);
  const buffer = new Uint8Array(Math.min(perBatch, clusters) * clusterSize);
  for (let first = 0; first < clusters; first += perBatch) {
    const count = Math.min(perBatch, clusters - first);
    for (let step = 0; step < count; step++) {
      fill(layout, first + step, buffer.subarray(step * clusterSize, (step + 1) * clusterSize));
    }
    const bytes = buffer.subarray(0, count * clusterSize);
    await device.write([{ at: at + first * clusterSize, bytes }]);
    yield bytes.length;
  }
}

/** Resolves a file. Throws if it has another role in the image already. */
async function resolveFile(
  reference: ImageReference,
  options: CreateImageOptions,
  files: ChainFile[],
): Promise<ProvidedFile | null> {
  const file = await resolveReference(reference, options, files);
  if (file === null) return null;
  // The device belongs to the caller; any other resolved file is closed when this fails.
  const known = includesFile(files, file.openable);
  if (!known) files.push({ openable: file.openable, reference });
  refuseSecondRole(known ? files : files.slice(0, -1), file.openable, reference);
  return file;
}

/** The device for guest data; null when the image itself contains them. */
async function dataFileOf(
  { dataFile: name }: ImagePlan,
  options: CreateImageOptions,
  files: ChainFile[],
): Promise<BlockDevice | null> {
  if (name === undefined) return null;
  const file = await resolveFile({ kind: 'data', name, format: 'raw', writable: true, depth: 1 }, options, files);
  if (file === null) {
    const message = `The data file "${name}" was not provided: resolve must return a device for it.`;
    throw new Qcow2Error('reference-refused', message, { what: 'data file', name, depth: 1 });
  }
  requireDevice(`The data file "${name}"`, file.openable);
  return file.openable;
}

async function backingFileOf(
  { backingFile: name, backingFormat: format }: ImagePlan,
  options: CreateImageOptions,
  files: ChainFile[],
): Promise<Resolved> {
  if (name === undefined) return undefined;
  const file = await resolveFile({ kind: 'backing', name, format, writable: false, depth: 1 }, options, files);
  if (file === null) return undefined;
  return { source: file.openable, format: file.format as 'raw' | 'qcow2' };
}

/** Makes the data file a disk of zeros, as long as the guest's. */
async function clearDataFile(file: BlockDevice, { dataFile: name = '', size }: ImagePlan): Promise<void> {
  try {
    await file.truncate(0);
    await file.truncate(size);
    await file.flush();
  } catch (error) {
    throw withinDataFile(error, { name, depth: 1 });
  }
}
