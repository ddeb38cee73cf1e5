/** Owns the making of a new image: the layout's bytes, onto a device, in an order that never leaves half an image behind. */
import { planOf } from './create-plan.js';
import { Qcow2Error } from './errors.js';
import {
  type ClusterRun,
  fileSizeOf,
  fillL2Table,
  fillRefcountBlock,
  headerCluster,
  type ImageLayout,
  l1TableBytes,
  layoutOf,
  refcountTableBytes,
} from './format/layout.js';
import type { BlockDevice, Transfer } from './io/device.js';
import { progressOf } from './io/progress.js';
import type { CreateOptions, ImageReference, OpenOptions } from './options.js';
import { isBlockDevice } from './sources/openable.js';

/** How many bytes of tables are written at once: memory is bounded however large the disk. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** What {@link createImage} takes. */
export type CreateImageOptions = CreateOptions & Pick<OpenOptions, 'resolve' | 'cache'>;

/**
 * Writes an empty image over whatever `device` holds. The header goes last: until then the device holds no image. Answers
 * with the data file, when the image has one.
 *
 * @throws RangeError or TypeError for options that cannot be, before anything is changed; {@link Qcow2Error}
 *   `reference-refused` when `resolve` does not hand over the data file; what the device throws; the signal's reason.
 */
export async function createImage(device: BlockDevice, options: CreateImageOptions): Promise<BlockDevice | null> {
  if (!isBlockDevice(device)) {
    throw new TypeError('An image is created on a BlockDevice: something with read, write, truncate and flush.');
  }
  const layout = layoutOf(planOf(options));
  const header = headerCluster(layout);
  options.signal?.throwIfAborted();
  const dataFile = layout.plan.dataFile === undefined ? null : await prepareDataFile(layout, options);
  await device.truncate(0);
  await device.truncate(fileSizeOf(layout));
  await writeTables(device, layout, options);
  await device.flush();
  await device.write([{ at: 0, bytes: header }]);
  await device.flush();
  return dataFile;
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

/** Writes a run of clusters in batches, each filled by its index; tells the bytes of each batch. */
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

/** The data file becomes a disk of zeros, as long as the guest's. */
async function prepareDataFile({ plan }: ImageLayout, { resolve }: CreateImageOptions): Promise<BlockDevice> {
  const name = plan.dataFile!;
  const reference: ImageReference = { kind: 'data', name, format: 'raw', writable: true, parent: null, depth: 1 };
  const answer = (await resolve?.(reference)) ?? null;
  const file = answer !== null && 'source' in answer && 'format' in answer ? answer.source : answer;
  if (file === null) {
    const message = `The data file "${name}" was not handed over: resolve must answer with a device for it.`;
    throw new Qcow2Error('reference-refused', message, { what: 'data file', name, depth: 1 });
  }
  if (!isBlockDevice(file)) throw new TypeError(`The data file "${name}" must be a BlockDevice, to be written to.`);
  await file.truncate(0);
  await file.truncate(plan.size);
  await file.flush();
  return file;
}
