/**
 * Deletes a snapshot. The header refers to the table without it first. Then its references are released, in slices, and
 * COPIED is set where one reference is left.
 */
import type { OperationOptions } from '../../api/options.js';
import type { SnapshotReference } from '../../api/snapshot-reference.js';
import { progressOf } from '../../engine/async/progress.js';
import type { Steps } from '../../engine/async/steps.js';
import { settle } from '../../engine/write/settle.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { Writer } from '../../engine/write/writer.js';
import { decodeName } from '../../format/names.js';
import { pauses, refuseDataFile } from './changeable.js';
import { findSnapshot } from './find-snapshot.js';
import { References } from './references.js';
import { releaseTables, restoreCopied } from './release-tables.js';
import { TableReader } from './shared-tables.js';
import { readL1, replaceSnapshots } from './snapshot-table.js';
import { endViews } from './views.js';

/**
 * Deletes a snapshot, as `Disk.deleteSnapshot` describes.
 *
 * @throws {@link Qcow2Error} `not-found`, `ambiguous`, `unsupported`, `corrupt`, and what the device throws; the
 *   signal's reason when it aborts.
 */
export function deleteSnapshot(
  writer: Writer,
  which: SnapshotReference,
  options: OperationOptions = {},
): Promise<void> {
  return writer.restructure(async (structure) => {
    refuseDataFile(structure);
    const { layer, slice } = structure;
    const progress = progressOf(options, 'snapshot', layer.size);
    const l1 = await slice(() => remove(structure, which));
    await releaseTables(structure, l1);
    await restoreCopied(structure);
    progress(layer.size);
  }, options.signal);
}

/** Removes the entry of the snapshot. Returns its L1 table, whose references are still counted. */
function* remove(structure: Structure, which: SnapshotReference): Steps<DataView> {
  const { layer, state, writes, signal } = structure;
  const index = findSnapshot(layer.snapshots, which);
  const snapshot = layer.snapshots[index]!;
  yield* settle(state);
  const l1 = yield* readL1(structure, snapshot);
  const references = new References(structure);
  const reader = new TableReader(structure, l1, `the L1 table of snapshot "${decodeName(snapshot.name)}"`);
  yield* references.count(reader, pauses(signal));
  yield* references.refuseUncounted();
  yield* writes.mark();
  yield* replaceSnapshots(
    structure,
    layer.snapshots.filter((_, other) => other !== index),
  );
  endViews(structure, index);
  if (l1.byteLength > 0) state.space.retire({ host: snapshot.l1TableOffset, length: l1.byteLength });
  yield* writeBack(state, 'check');
  return l1;
}
