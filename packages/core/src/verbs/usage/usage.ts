/** Computes where the bytes of an image file are. Reads the file anew, as a check does, and is bounded in memory. */

import type { ByteSource } from '../../api/device.js';
import type { OperationOptions } from '../../api/options.js';
import type { Usage } from '../../api/usage.js';
import { progressOf } from '../../engine/async/progress.js';
import { yieldToEventLoop } from '../../engine/async/yield-to-event-loop.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { readHeader } from '../../engine/layer/metadata.js';
import { readSnapshotTable } from '../../engine/layer/snapshot-table.js';
import type { Writer } from '../../engine/write/writer.js';
import { Qcow2Error } from '../../errors.js';
import type { HeaderExtension } from '../../format/extensions.js';
import { geometryOfHeader } from '../../format/geometry.js';
import type { Snapshot } from '../../format/snapshots.js';
import { validateTables } from '../../format/validate.js';
import { referBitmaps } from '../check/check-bitmaps.js';
import { MAX_CLUSTERS } from '../check/check-context.js';
import { RefcountsOnDisk } from '../check/check-refcounts.js';
import { checkSnapshot } from '../check/check-snapshots.js';
import { referEncryption } from '../check/count-references.js';
import { FIRST_SNAPSHOT, OWNER, OwnerContext } from './owners.js';
import { sumUsage } from './sum-usage.js';
import { OwnerWalk } from './walk-tables.js';

/**
 * The usage of an open image. If it is open for writing, it is flushed first, and changes wait until the end.
 *
 * @throws {@link Qcow2Error} `corrupt` when the header or the snapshot table is invalid, `unsupported` when the file
 *   has more clusters than can be counted, `closed` when the image is closed meanwhile; what a flush and the source
 *   throw; the signal's reason when it aborts.
 */
export function imageUsage(
  { layer, write }: { readonly layer: Qcow2Layer; readonly write: { readonly writer: Writer } | null },
  options: OperationOptions = {},
): Promise<Usage> {
  const usage = (signal = options.signal) => sourceUsage(layer.source, { ...options, signal });
  return write === null ? usage() : write.writer.atRest(usage, options.signal);
}

async function sourceUsage(source: ByteSource, options: OperationOptions): Promise<Usage> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { header, extensions } = await readHeader(source, signal);
  const geometry = geometryOfHeader(header);
  validateTables(header, geometry, source.size);
  const context = new OwnerContext(source, header, geometry, signal);
  if (context.clusters > MAX_CLUSTERS) throw tooManyClusters(context.clusters);
  const yieldIfDue = yieldToEventLoop();
  const refcounts = await RefcountsOnDisk.read(context, yieldIfDue);
  const { snapshots, length } = await readSnapshotTable(source, header, signal);
  context.refer(header.snapshotsOffset, length, 'metadata');
  enterStructures(context, refcounts, extensions);
  const walk = new OwnerWalk(context, yieldIfDue);
  const l1 = await walk.enterTables(header.l1TableOffset, header.l1Size, OWNER.tables);
  await referBitmaps(context, extensions, yieldIfDue);
  await enterDisks(context, walk, { l1, snapshots, options, yieldIfDue });
  const usage = await sumUsage(context, refcounts.counts, snapshots, yieldIfDue);
  return geometry.externalData ? { ...usage, dataFile: walk.dataFile } : usage;
}

/** The header, the refcount structure and the encryption header. */
function enterStructures(
  context: OwnerContext,
  refcounts: RefcountsOnDisk,
  extensions: readonly HeaderExtension[],
): void {
  const { refcountTableOffset, refcountTableClusters } = context.header;
  const { clusterSize } = context.geometry;
  context.refer(0, clusterSize, 'metadata');
  context.refer(refcountTableOffset, refcountTableClusters * clusterSize, 'refcounts');
  refcounts.checkTable(context);
  referEncryption(context, extensions);
}

/** What the clusters of the active disk and of the snapshots are found by. */
interface Disks {
  /** The active L1 table. */
  readonly l1: DataView;
  readonly snapshots: readonly Snapshot[];
  readonly options: OperationOptions;
  readonly yieldIfDue: () => Promise<void>;
}

/** Enters the clusters of the active disk, then those of each snapshot. */
async function enterDisks(
  context: OwnerContext,
  walk: OwnerWalk,
  { l1, snapshots, options, yieldIfDue }: Disks,
): Promise<void> {
  const { bytesPerL2 } = context.geometry;
  const { l1Size } = context.header;
  const entries = snapshots.reduce((sum, snapshot) => sum + snapshot.l1Size, l1Size);
  const progress = progressOf(options, 'usage', entries * bytesPerL2);
  let before = 0;
  const walked = (count: number) => progress((before + count) * bytesPerL2);
  await walk.enterData({ l1, tables: OWNER.tables, data: OWNER.data }, walked);
  before += l1Size;
  for (const [index, snapshot] of snapshots.entries()) {
    await yieldIfDue();
    options.signal?.throwIfAborted();
    // What a damaged entry of the snapshot table leads to belongs to nothing.
    if (checkSnapshot(context, snapshot, index)) {
      const owner = FIRST_SNAPSHOT + index;
      const l1 = await walk.enterTables(snapshot.l1TableOffset, snapshot.l1Size, owner);
      await walk.enterData({ l1, tables: owner, data: owner }, walked);
    }
    before += snapshot.l1Size;
  }
  walked(0);
}

function tooManyClusters(clusters: number): Qcow2Error {
  const message = `The file has ${clusters} clusters; ${MAX_CLUSTERS} is the most that can be counted.`;
  return new Qcow2Error('unsupported', message, { what: 'file', at: 0 });
}
