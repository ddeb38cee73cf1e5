/** The open disks of snapshots, when snapshots come and go. */
import { type AcquiredTables, TableCache } from '../../engine/layer/table-cache.js';
import type { Structure } from '../../engine/write/structure.js';
import { Qcow2Error } from '../../errors.js';

/** The tables of a disk that is no longer there: every access throws. */
class EndedTables extends TableCache {
  override acquire(): AcquiredTables {
    throw new Qcow2Error('not-found', 'The snapshot was deleted.', { what: 'snapshot' });
  }

  override peek(): never {
    return this.acquire() as never;
  }
}

/** Ends the disks of the snapshot at `index`, which was removed from the list; those of later ones follow them. */
export function endViews({ layer }: Structure, index: number): void {
  for (const view of layer.views) {
    if (view.snapshotIndex === index) {
      view.tables = new EndedTables(view.tables.parts);
      view.snapshotIndex = -1;
    } else if (view.snapshotIndex! > index) view.snapshotIndex!--;
  }
}
