/** Counts every reference of an image, structure by structure. */
import type { OperationOptions } from '../../api/options.js';
import { progressOf } from '../../engine/async/progress.js';
import { getUint64, viewOf } from '../../format/bytes.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../format/extensions.js';
import { diskSizeOf } from '../../format/header.js';
import { decodeSnapshotExtra } from '../../format/snapshot-extra.js';
import { referBitmaps } from './check-bitmaps.js';
import type { CheckContext } from './check-context.js';
import type { RefcountsOnDisk } from './check-refcounts.js';
import { checkSnapshot, readSnapshots } from './check-snapshots.js';
import { type Allocation, TableWalk } from './check-tables.js';

/** What a count needs besides its context. */
export interface Counting {
  readonly refcounts: RefcountsOnDisk;
  readonly extensions: readonly HeaderExtension[];
  readonly options: OperationOptions;
  /** Yields to the event loop. */
  readonly turn: () => Promise<void>;
}

/**
 * Counts every reference, in QEMU's order: when a count overflows, the order decides which reference is reported.
 * Returns the allocation figures of the active disk. `phase` is that of the progress reports.
 */
export async function countReferences(
  context: CheckContext,
  { refcounts, extensions, options, turn }: Counting,
  phase: string,
): Promise<Allocation> {
  const { header, geometry } = context;
  const { l1TableOffset, l1Size, refcountTableOffset, refcountTableClusters } = header;
  const walk = new TableWalk(context, refcounts, turn);
  const { snapshots, length } = await readSnapshots(context);
  const tables = snapshots.reduce((sum, snapshot) => sum + snapshot.l1Size, l1Size);
  const progress = progressOf(options, phase, tables * geometry.bytesPerL2);
  let before = 0;
  const walked = (entries: number) => progress((before + entries) * geometry.bytesPerL2);
  const size = diskSizeOf(header);

  context.refer(0, geometry.clusterSize, 'metadata', () => ({ what: 'header', at: 0 }));
  await walk.walk({ of: '', active: true, at: l1TableOffset, entries: l1Size, size }, walked);
  before += l1Size;
  for (const [index, snapshot] of snapshots.entries()) {
    if (checkSnapshot(context, snapshot, index)) {
      const { l1TableOffset: at, l1Size: entries, extra } = snapshot;
      const disk = { active: false, size: decodeSnapshotExtra(extra).diskSize ?? size };
      await walk.walk({ of: ` of snapshot ${index}`, at, entries, ...disk }, walked);
    }
    before += snapshot.l1Size;
  }
  const table = { what: 'snapshot table', at: header.snapshotsOffset };
  context.refer(header.snapshotsOffset, length, 'metadata', () => table);
  const refcountTable = { what: 'refcount table', at: refcountTableOffset };
  context.refer(refcountTableOffset, refcountTableClusters * geometry.clusterSize, 'refcounts', () => refcountTable);
  referEncryption(context, extensions);
  await referBitmaps(context, extensions, turn);
  refcounts.checkTable(context);
  return walk.allocation;
}

function referEncryption(context: CheckContext, extensions: readonly HeaderExtension[]): void {
  const pointer = findExtension(extensions, EXTENSION.cryptoHeader);
  if (pointer === undefined || pointer.data.length < 16) return;
  const view = viewOf(pointer.data);
  const place = { what: 'full disk encryption header pointer', at: pointer.offset };
  context.refer(getUint64(view, 0), getUint64(view, 8), 'metadata', () => place);
}
