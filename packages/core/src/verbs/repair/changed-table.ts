/** Writes a changed table to the medium. */
import type { Transfer } from '../../api/device.js';
import type { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import { addDirty } from '../../engine/write/dirty-tables.js';
import type { Medium } from './medium.js';

/** Writes the changed bytes of a table at the host offset `at`. */
export async function writeChanged(medium: Medium, table: DataView, at: number, dirty: DirtyRanges): Promise<void> {
  const transfers: Transfer[] = [];
  addDirty(transfers, table, at, dirty);
  await medium.write(transfers);
}
