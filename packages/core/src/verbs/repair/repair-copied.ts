/** Corrects the COPIED flags of the active disk: set exactly where the refcount is one. */
import type { Transfer } from '../../api/device.js';
import { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import { addDirty } from '../../engine/write/dirty-tables.js';
import { isOwned, setL1Entry, setOwned } from '../../format/encode-entries.js';
import { getL1Entry, isCompressed, standardOffset } from '../../format/entries.js';
import type { Checked } from '../check/check.js';
import { writeChanged } from './changed-table.js';
import { type RepairedDisk, readL1, tablesOf } from './disks.js';
import type { RepairContext } from './repair-context.js';

/**
 * Sets or clears COPIED where the refcount says otherwise. All refcounts must equal the references.
 *
 * @throws what the medium throws; the signal's reason.
 */
export async function correctCopied(
  context: RepairContext,
  active: RepairedDisk,
  { context: { references } }: Checked,
): Promise<void> {
  const { medium, geometry, log } = context;
  const { clusterSize, l2Entries, l2EntrySize, externalData } = geometry;
  const l1 = await readL1(context, active);
  const dirtyL1 = new DirtyRanges();
  for (let index = 0; index < l1.byteLength / 8; index++) {
    const { offset, owned } = getL1Entry(l1, index);
    if (offset === null || (references.get(offset / clusterSize) === 1) === owned) continue;
    setL1Entry(l1, index, { offset, owned: !owned });
    dirtyL1.add(index * 8, index * 8 + 8);
    log.count('copied-corrected');
  }
  await writeChanged(medium, l1, active.l1At, dirtyL1);
  for await (const tables of tablesOf(context, l1, () => true)) {
    const transfers: Transfer[] = [];
    for (const { view, at } of tables) {
      const dirty = new DirtyRanges();
      for (let index = 0; index < l2Entries; index++) {
        if (isCompressed(geometry, view, index)) continue;
        const host = standardOffset(geometry, view, index);
        if (host === null) continue;
        const owned = externalData || references.get(host / clusterSize) === 1;
        if (isOwned(geometry, view, index) === owned) continue;
        setOwned(geometry, view, index, owned);
        dirty.add(index * l2EntrySize, (index + 1) * l2EntrySize);
        log.count('copied-corrected');
      }
      addDirty(transfers, view, at, dirty);
    }
    await medium.write(transfers);
  }
  await medium.flush();
}
