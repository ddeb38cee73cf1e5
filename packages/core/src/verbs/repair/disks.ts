/** The disks of an image under repair, the active one and its snapshots', and their L2 tables. */
import type { Transfer } from '../../api/device.js';
import { readBytes } from '../../engine/layer/read-bytes.js';
import { viewOf } from '../../format/bytes.js';
import { l2TableOffset } from '../../format/entries.js';
import { diskSizeOf } from '../../format/header.js';
import { decodeName } from '../../format/names.js';
import { decodeSnapshotExtra } from '../../format/snapshot-extra.js';
import type { Snapshot } from '../../format/snapshots.js';
import type { RepairContext } from './repair-context.js';

/** Bytes of L2 tables that are loaded in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** A disk of the image. */
export interface RepairedDisk {
  /** The snapshot's id; undefined for the active disk. */
  readonly snapshot: string | undefined;
  /** Host offset of its L1 table, bytes. */
  readonly l1At: number;
  readonly l1Entries: number;
  /** Bytes. */
  readonly size: number;
}

/** An L2 table in memory, until the next batch is loaded. */
export interface LoadedTable {
  readonly l1Index: number;
  /** Host offset, bytes. */
  readonly at: number;
  readonly view: DataView;
}

/** The active disk, and those of the snapshots. */
export function disksOf({ header }: Pick<RepairContext, 'header'>, snapshots: readonly Snapshot[]): RepairedDisk[] {
  const { l1TableOffset: l1At, l1Size: l1Entries } = header;
  const size = diskSizeOf(header);
  const active = { snapshot: undefined, l1At, l1Entries, size };
  const others = snapshots.map(({ l1TableOffset, l1Size, id, extra }) => {
    const { diskSize = size } = decodeSnapshotExtra(extra);
    return { snapshot: decodeName(id), l1At: l1TableOffset, l1Entries: l1Size, size: diskSize };
  });
  return [active, ...others];
}

/** The L1 table of a disk. */
export async function readL1({ medium, signal }: RepairContext, disk: RepairedDisk): Promise<DataView> {
  const bytes = await readBytes(medium, disk.l1At, disk.l1Entries * 8, signal);
  return viewOf(bytes.subarray(0, bytes.length - (bytes.length % 8)));
}

/** Loads the L2 tables of an L1 table whose offset `isWanted`, in batches. */
export async function* tablesOf(
  { medium, geometry, signal, yieldIfDue }: RepairContext,
  l1: DataView,
  isWanted: (at: number, l1Index: number) => boolean,
): AsyncGenerator<readonly LoadedTable[], void, undefined> {
  const { clusterSize } = geometry;
  const clustersPerBatch = Math.max(1, BATCH_BYTES / clusterSize);
  /** As long as the first batch: no later one is longer, and most disks of many snapshots have few tables. */
  let buffer: Uint8Array | undefined;
  let batch: { l1Index: number; at: number }[] = [];
  const load = async (): Promise<readonly LoadedTable[]> => {
    signal?.throwIfAborted();
    buffer ??= new Uint8Array(batch.length * clusterSize);
    const bytes = buffer;
    const transfers = batch.map(({ at }, index): Transfer => {
      return { at, bytes: bytes.subarray(index * clusterSize, (index + 1) * clusterSize) };
    });
    await medium.read(transfers, signal);
    await yieldIfDue();
    return batch.map(({ l1Index, at }, index) => ({ l1Index, at, view: viewOf(transfers[index]!.bytes) }));
  };
  for (let l1Index = 0; l1Index < l1.byteLength / 8; l1Index++) {
    const at = l2TableOffset(l1, l1Index);
    if (at === 0 || !isWanted(at, l1Index)) continue;
    batch.push({ l1Index, at });
    if (batch.length < clustersPerBatch) continue;
    yield await load();
    batch = [];
  }
  if (batch.length > 0) yield await load();
}
