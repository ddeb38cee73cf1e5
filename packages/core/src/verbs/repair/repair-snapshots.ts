/** Makes the snapshot table consistent: snapshots whose tables cannot be read are removed. */
import { readBytes } from '../../engine/layer/read-bytes.js';
import { readSnapshotTable } from '../../engine/layer/snapshot-table.js';
import { isQcow2Error } from '../../errors.js';
import { hex, setUint64, viewOf } from '../../format/bytes.js';
import type { Geometry } from '../../format/geometry.js';
import { diskSizeOf, type Header } from '../../format/header.js';
import { setSnapshotTable } from '../../format/header-fields.js';
import { MAX_L1_BYTES, MAX_SNAPSHOT_TABLE_BYTES } from '../../format/limits.js';
import { decodeName } from '../../format/names.js';
import { V3_EXTRA_BYTES } from '../../format/snapshot-extra.js';
import { decodeSnapshots, encodeSnapshots, type Snapshot } from '../../format/snapshots.js';
import type { FileEnd } from './file-end.js';
import { changeHeader } from './header-sector.js';
import type { Medium } from './medium.js';
import { NO_CHANGE, type PendingChange, referencesTo } from './pending-change.js';
import { isPlausibleL1, leadsToTables } from './plausible-tables.js';
import type { RepairContext } from './repair-context.js';
import type { RepairLog } from './repair-log.js';

/**
 * What else uses host bytes: an L2 table of the active disk, anything, or nothing.
 */
export type IsOwned = (at: number, length: number) => 'table' | 'shared' | 'free';

/** What becomes of the snapshots. */
export interface SnapshotPlan {
  /** The snapshots that can be read. */
  readonly kept: readonly Snapshot[];
  /** Length of the table on the medium, as far as it can be read, bytes. */
  readonly tableBytes: number;
  /** True if entries of the table were left out. */
  readonly shortened: boolean;
}

/**
 * Reads the snapshot table, and decides which snapshots are kept. Writes nothing.
 *
 * @throws what the medium throws; the signal's reason.
 */
export async function planSnapshots(
  medium: Medium,
  header: Header,
  geometry: Geometry,
  log: RepairLog,
  signal: AbortSignal | undefined,
  isOwned: IsOwned = () => 'free',
): Promise<SnapshotPlan> {
  if (header.snapshotCount === 0) return { kept: [], tableBytes: 0, shortened: false };
  const found = await namedSnapshots(medium, header, log, signal);
  const tableBytes = encodeSnapshots(found).length;
  if (found.length > 0 && isActiveTable(header, header.snapshotsOffset, tableBytes, isOwned)) {
    const reason = `The snapshot table at ${hex(header.snapshotsOffset)} overlaps a table of the disk.`;
    dropRange(0, header.snapshotCount - 1, log, reason);
    return { kept: [], tableBytes: 0, shortened: true };
  }
  const kept: Snapshot[] = [];
  let l1Bytes = 0;
  for (const snapshot of found) {
    const fault = faultOf(snapshot, geometry, medium.size);
    // One whose length is damaged must not count against the others.
    if (fault === null) l1Bytes += snapshot.l1Size * 8;
    const reason =
      fault ??
      (l1Bytes > medium.size ? 'The L1 tables of all snapshots are longer than the file.' : null) ??
      (await overlapOf(medium, snapshot, { header, geometry, tableBytes }, isOwned));
    if (reason === null) kept.push(snapshot);
    else drop(snapshot, log, reason);
  }
  return { kept, tableBytes, shortened: kept.length < header.snapshotCount };
}

/** True if host bytes are in use as the L1 table or an L2 table of the active disk, which has precedence. */
function isActiveTable({ l1TableOffset, l1Size }: Header, at: number, length: number, isOwned: IsOwned): boolean {
  const onL1 = length > 0 && at < l1TableOffset + l1Size * 8 && l1TableOffset < at + length;
  return onL1 || isOwned(at, length) === 'table';
}

/**
 * Why the L1 table of a snapshot cannot be at its place, a sentence: the table is in use as something else. A table
 * that two disks share is copied instead.
 */
async function overlapOf(
  medium: Medium,
  { l1TableOffset: at, l1Size }: Snapshot,
  { header, geometry, tableBytes }: { header: Header; geometry: Geometry; tableBytes: number },
  isOwned: IsOwned,
): Promise<string | null> {
  const length = l1Size * 8;
  if (length === 0 || at === header.l1TableOffset) return null;
  const touches = (start: number, bytes: number) => bytes > 0 && at < start + bytes && start < at + length;
  const onTable = touches(header.snapshotsOffset, tableBytes) || touches(header.l1TableOffset, header.l1Size * 8);
  if (onTable) return `Its L1 table at ${hex(at)} overlaps other metadata.`;
  const owner = isOwned(at, length);
  // Either this place or the other entry is wrong: what is in the cluster decides.
  const l1 = viewOf(await readBytes(medium, at, length));
  const isTable = isPlausibleL1(l1, medium.size);
  if (owner === 'table' && !(isTable && (await leadsToTables(medium, geometry, l1)))) {
    return `Its L1 table at ${hex(at)} overlaps an L2 table of the disk.`;
  }
  return owner === 'shared' && !isTable ? `Its L1 table at ${hex(at)} is in use as something else.` : null;
}

/**
 * Writes the snapshot table anew, at the end of the file, unless it is right as it is. Tables that overlap others are
 * copied there. `placed` are the snapshots of the table once it is committed.
 *
 * @throws what the medium throws; the signal's reason.
 */
export async function writeSnapshots(
  { medium, header, geometry, end, log }: RepairContext,
  { kept, shortened }: SnapshotPlan,
): Promise<PendingChange & { readonly placed: readonly Snapshot[] }> {
  const complete = kept.map((snapshot) => withExtra(snapshot, header));
  const { placed, added } = await withOwnTables(medium, complete, header, geometry, end, log);
  const isSame = !shortened && placed.length === kept.length;
  if (isSame && placed.every((snapshot, index) => snapshot === kept[index])) return { ...NO_CHANGE, placed, added };
  const bytes = encodeSnapshots(placed);
  const at = placed.length === 0 ? 0 : end.take(bytes.length);
  if (placed.length > 0) {
    await medium.write([{ at, bytes }]);
    for (const [cluster, count] of referencesTo(at, bytes.length, geometry.clusterSize)) added.set(cluster, count);
  }
  const commit = async () => {
    await changeHeader(medium, (sector) => setSnapshotTable(sector, at, placed.length));
    log.count('snapshots-rewritten');
  };
  return { added, commit, placed };
}

/** The entries of the table up to the first that says nothing: such entries are zeros behind the table. */
async function namedSnapshots(
  medium: Medium,
  header: Header,
  log: RepairLog,
  signal: AbortSignal | undefined,
): Promise<readonly Snapshot[]> {
  const found = await readableSnapshots(medium, header, log, signal);
  const end = found.findIndex(({ id, name, l1TableOffset, l1Size }) => {
    return id.length + name.length === 0 && l1TableOffset === 0 && l1Size === 0;
  });
  if (end < 0) return found;
  dropRange(end, found.length - 1, log, 'It has no id, no name and no L1 table.');
  return found.slice(0, end);
}

/** The entries of the table up to the first that cannot be decoded. */
async function readableSnapshots(
  medium: Medium,
  header: Header,
  log: RepairLog,
  signal: AbortSignal | undefined,
): Promise<readonly Snapshot[]> {
  const { snapshotsOffset: at } = header;
  const { snapshotCount: count } = header;
  try {
    return (await readSnapshotTable(medium, header, signal)).snapshots;
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt')) throw error;
    const bytes = await readBytes(medium, at, MAX_SNAPSHOT_TABLE_BYTES, signal);
    const snapshots = longestPrefix(bytes, count, at);
    dropRange(snapshots.length, count - 1, log, error.message);
    return snapshots;
  }
}

function drop({ name, id }: Snapshot, log: RepairLog, reason: string): void {
  log.dropped.push({ kind: 'snapshot', name: decodeName(name) || decodeName(id), reason });
}

function dropRange(first: number, last: number, log: RepairLog, reason: string): void {
  const name = first === last ? `snapshot ${first}` : `snapshots ${first} to ${last}`;
  log.dropped.push({ kind: 'snapshot', name, reason });
}

/** As many entries as can be decoded. If some can be, so can all before them. */
function longestPrefix(bytes: Uint8Array, count: number, place: number): readonly Snapshot[] {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (decoded(bytes, middle, place) === null) high = middle - 1;
    else low = middle;
  }
  return decoded(bytes, low, place) ?? [];
}

function decoded(bytes: Uint8Array, count: number, place: number): readonly Snapshot[] | null {
  try {
    return decodeSnapshots(bytes, count, place)?.snapshots ?? null;
  } catch (error) {
    if (isQcow2Error(error, 'corrupt')) return null;
    throw error;
  }
}

function faultOf({ l1TableOffset, l1Size }: Snapshot, geometry: Geometry, fileSize: number): string | null {
  if (geometry.externalData) return 'An image with an external data file has no snapshots.';
  const end = l1TableOffset + l1Size * 8;
  if (l1TableOffset % geometry.clusterSize !== 0) return `Its L1 table is at ${hex(l1TableOffset)}, inside a cluster.`;
  if (l1Size > MAX_L1_BYTES / 8) return `Its L1 table has ${l1Size} entries: too many.`;
  if (end > fileSize) return `Its L1 table ends at ${hex(end)}, and the file at ${hex(fileSize)}.`;
  if (l1Size > 0 && l1TableOffset === 0) return 'Its L1 table is at the place of the header.';
  return null;
}

/** Version 3 requires the size of the machine state and of the disk in the extra data. */
function withExtra(snapshot: Snapshot, header: Header): Snapshot {
  if (header.version === 2 || snapshot.extra.length >= V3_EXTRA_BYTES) return snapshot;
  const extra = new Uint8Array(V3_EXTRA_BYTES);
  setUint64(viewOf(extra), 0, snapshot.vmStateSize32);
  setUint64(viewOf(extra), 8, diskSizeOf(header));
  extra.set(snapshot.extra.subarray(0, snapshot.extra.length >= 8 ? 8 : 0));
  return { ...snapshot, extra };
}

/** Copies each L1 table that overlaps the header, the active L1 table or another one to the end of the file. */
async function withOwnTables(
  medium: Medium,
  snapshots: readonly Snapshot[],
  header: Header,
  { clusterSize }: Geometry,
  end: FileEnd,
  log: RepairLog,
): Promise<{ placed: Snapshot[]; added: Map<number, number> }> {
  const added = new Map<number, number>();
  const used = new Set<number>([0]);
  const use = (at: number, length: number): boolean => {
    let free = true;
    for (let cluster = at / clusterSize; cluster * clusterSize < at + length; cluster++) {
      if (used.has(cluster)) free = false;
      used.add(cluster);
    }
    return free;
  };
  use(header.l1TableOffset, header.l1Size * 8);
  const placed: Snapshot[] = [];
  for (const snapshot of snapshots) {
    const length = snapshot.l1Size * 8;
    if (use(snapshot.l1TableOffset, length)) {
      placed.push(snapshot);
      continue;
    }
    const l1TableOffset = end.takeForCopy(length);
    if (l1TableOffset === null) {
      const reason = 'Its L1 table overlaps other metadata, and copies have taken as much space as the file had.';
      drop(snapshot, log, reason);
      continue;
    }
    const bytes = await readBytes(medium, snapshot.l1TableOffset, length);
    await medium.write([{ at: l1TableOffset, bytes }]);
    log.count('clusters-copied', Math.ceil(length / clusterSize));
    for (const [cluster, count] of referencesTo(l1TableOffset, length, clusterSize)) added.set(cluster, count);
    placed.push({ ...snapshot, l1TableOffset });
  }
  return { placed, added };
}
