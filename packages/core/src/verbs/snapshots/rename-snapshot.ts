/** Renames a snapshot: a new snapshot table takes the place of the old one. */
import type { OperationOptions } from '../../api/options.js';
import type { SnapshotReference } from '../../api/snapshot-reference.js';
import { settle } from '../../engine/write/settle.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { Writer } from '../../engine/write/writer.js';
import { encodeName } from '../../format/names.js';
import { findSnapshot } from './find-snapshot.js';
import { replaceSnapshots, requireTable } from './snapshot-table.js';

/**
 * Renames a snapshot, as `Disk.renameSnapshot` describes.
 *
 * @throws {@link Qcow2Error} `not-found`, `ambiguous`, and what the device throws; the signal's reason when it aborts.
 */
export function renameSnapshot(
  writer: Writer,
  which: SnapshotReference,
  name: string,
  options: OperationOptions = {},
): Promise<void> {
  return writer.restructure(async (structure) => {
    const { layer, state, writes, slice } = structure;
    await slice(function* () {
      const index = findSnapshot(layer.snapshots, which);
      const snapshots = layer.snapshots.map((snapshot, other) =>
        other === index ? { ...snapshot, name: encodeName(name) } : snapshot,
      );
      requireTable(snapshots);
      yield* settle(state);
      yield* writes.mark();
      yield* replaceSnapshots(structure, snapshots);
      yield* writeBack(state, 'check');
    });
  }, options.signal);
}
