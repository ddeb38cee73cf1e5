/** Counts every reference of an image, structure by structure. */
import type { ByteSource } from '../../api/device.js';
import type { OperationOptions } from '../../api/options.js';
import { progressOf } from '../../engine/async/progress.js';
import { CRYPTO_POINTER_BYTES, cryptoHeaderPlace } from '../../format/crypto-header.js';
import { EXTENSION, findExtension, type HeaderExtension } from '../../format/extensions.js';
import { diskSizeOf } from '../../format/header.js';
import { decodeSnapshotExtra } from '../../format/snapshot-extra.js';
import { referBitmaps } from './check-bitmaps.js';
import type { CheckContext } from './check-context.js';
import type { RefcountsOnDisk } from './check-refcounts.js';
import { checkSnapshot, readSnapshots } from './check-snapshots.js';
import { type Allocation, TableWalk } from './check-tables.js';
import type { L1Table } from './l1-table.js';

/** What a count needs besides its context. */
export interface Counting {
  readonly refcounts: RefcountsOnDisk;
  readonly extensions: readonly HeaderExtension[];
  readonly options: OperationOptions;
  /** Yields to the event loop. */
  readonly yieldIfDue: () => Promise<void>;
  /** The source of the snapshot table. */
  readonly ahead: ByteSource;
}

/** What was counted. */
export interface Counted {
  /** Figures of the active disk. */
  readonly allocation: Allocation;
  /** The L1 tables that were walked. */
  readonly tables: readonly L1Table[];
}

/**
 * Counts every reference, in QEMU's order: when a count overflows, the order decides which reference is reported.
 * `phase` is that of the progress reports.
 */
export async function countReferences(
  context: CheckContext,
  { refcounts, extensions, options, yieldIfDue, ahead }: Counting,
  phase: string,
): Promise<Counted> {
  const { header, geometry } = context;
  const { l1TableOffset, l1Size, refcountTableOffset, refcountTableClusters } = header;
  const walk = new TableWalk(context, refcounts, yieldIfDue);
  const { snapshots, length } = await readSnapshots(context, ahead);
  const entries = snapshots.reduce((sum, snapshot) => sum + snapshot.l1Size, l1Size);
  const progress = progressOf(options, phase, entries * geometry.bytesPerL2);
  let before = 0;
  const walked = (entries: number) => progress((before + entries) * geometry.bytesPerL2);
  const size = diskSizeOf(header);

  context.refer(0, geometry.clusterSize, 'metadata', () => ({ what: 'header', at: 0 }));
  const tables: L1Table[] = [{ of: '', active: true, at: l1TableOffset, entries: l1Size, size }];
  await walk.walk(tables[0]!, walked);
  before += l1Size;
  for (const [index, snapshot] of snapshots.entries()) {
    if (checkSnapshot(context, snapshot, index)) {
      const { l1TableOffset: at, l1Size: entries, extra } = snapshot;
      const of = ` of snapshot ${index}`;
      const table = { of, active: false, at, entries, size: decodeSnapshotExtra(extra).diskSize ?? size };
      tables.push(table);
      await walk.walk(table, walked);
    }
    before += snapshot.l1Size;
  }
  const table = { what: 'snapshot table', at: header.snapshotsOffset };
  context.refer(header.snapshotsOffset, length, 'metadata', () => table);
  const refcountTable = { what: 'refcount table', at: refcountTableOffset };
  context.refer(refcountTableOffset, refcountTableClusters * geometry.clusterSize, 'refcounts', () => refcountTable);
  referEncryption(context, extensions);
  await referBitmaps(context, extensions, yieldIfDue);
  refcounts.checkTable(context);
  return { allocation: walk.allocation, tables };
}

/** Counts the reference to the encryption header. */
export function referEncryption(context: CheckContext, extensions: readonly HeaderExtension[]): void {
  const pointer = findExtension(extensions, EXTENSION.cryptoHeader);
  if (pointer === undefined || pointer.data.length < CRYPTO_POINTER_BYTES) return;
  const place = { what: 'full disk encryption header pointer', at: pointer.offset };
  const { at, length } = cryptoHeaderPlace(pointer);
  context.refer(at, length, 'metadata', () => place);
}
