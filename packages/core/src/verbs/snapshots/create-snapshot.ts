/**
 * Takes a snapshot: a copy of the L1 table, with which the disk shares everything from then on. One slice does all of
 * it. COPIED is cleared first; then the refcounts rise; only then does the header refer to the snapshot.
 */
import type { SnapshotInfo } from '../../api/info.js';
import type { CreateSnapshotOptions } from '../../api/options.js';
import { progressOf } from '../../engine/async/progress.js';
import type { Steps } from '../../engine/async/steps.js';
import { settle } from '../../engine/write/settle.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { Writer } from '../../engine/write/writer.js';
import { clearCopied } from '../../format/copied-flags.js';
import { decodeName, encodeName } from '../../format/names.js';
import { encodeSnapshotExtra } from '../../format/snapshot-extra.js';
import type { Snapshot } from '../../format/snapshots.js';
import { pauses, refuseDataFile } from './changeable.js';
import { References } from './references.js';
import { shareL1 } from './shared-l1.js';
import { clearInTables, TableReader } from './shared-tables.js';
import { replaceSnapshots, requireTable } from './snapshot-table.js';

const WORD = 2n ** 32n;
const ENTRY_BYTES = 8;

/**
 * Takes a snapshot, as `Disk.createSnapshot` describes.
 *
 * @throws {@link Qcow2Error} `unsupported`, `corrupt`, and what the device throws; the signal's reason when it aborts.
 */
export function createSnapshot(
  writer: Writer,
  name: string,
  options: CreateSnapshotOptions = {},
): Promise<SnapshotInfo> {
  return writer.restructure(async (structure) => {
    const { layer, slice } = structure;
    refuseDataFile(structure);
    layer.tableInfo ??= await import('../../engine/layer/table-info.js');
    const taken = await slice(() => take(structure, name, options));
    return layer.tableInfo.snapshotInfos([taken])[0]!;
  }, options.signal);
}

function* take(structure: Structure, name: string, options: CreateSnapshotOptions): Steps<Snapshot> {
  const { layer, state, writes, signal } = structure;
  const snapshot = describe(structure, name, options);
  requireTable([...layer.snapshots, snapshot]);
  const progress = progressOf(options, 'snapshot', layer.size);
  const pause = pauses(signal);
  yield* settle(state);
  const reader = new TableReader(structure, state.l1, 'the L1 table');
  const references = new References(structure);
  yield* references.count(reader, pause);
  yield* references.refuseUncountable();
  yield* pause();
  yield* writes.mark();
  yield* clearInTables(structure, reader);
  if (clearCopied(state.l1, ENTRY_BYTES)) state.dirtyL1.add(0, state.l1.byteLength);
  // The flags are cleared on the medium before a refcount rises there.
  yield* writeBack(state, 'check');
  yield* shareL1(structure, references, "snapshot's L1 table", state.l1, (l1TableOffset) =>
    replaceSnapshots(structure, [...layer.snapshots, { ...snapshot, l1TableOffset }]),
  );
  yield* writeBack(state, 'check');
  progress(layer.size);
  return layer.snapshots.at(-1)!;
}

/** The entry of the snapshot, but for the place of its L1 table. */
function describe(
  { layer }: Structure,
  name: string,
  { date = new Date(), vmClock = 0n, icount }: CreateSnapshotOptions,
): Snapshot {
  const milliseconds = date.getTime();
  return {
    l1TableOffset: 0,
    l1Size: layer.header.l1Size,
    dateSec: Math.floor(milliseconds / 1000),
    dateNsec: (milliseconds % 1000) * 1_000_000,
    vmClockHigh: Number(vmClock / WORD),
    vmClockLow: Number(vmClock % WORD),
    vmStateSize32: 0,
    extra: encodeSnapshotExtra(layer.size, icount),
    id: encodeName(nextId(layer.snapshots)),
    name: encodeName(name),
  };
}

/** The id of the next snapshot, as QEMU chooses it: one more than the highest number with which an id begins. */
function nextId(snapshots: readonly Snapshot[]): string {
  const numbers = snapshots
    .map(({ id }) => BigInt(/^\s*\+?(\d+)/.exec(decodeName(id))?.[1] ?? 0))
    .sort((a, b) => (a < b ? -1 : 1));
  return String((numbers.at(-1) ?? 0n) + 1n);
}
