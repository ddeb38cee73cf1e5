/** Shortens an active L1 table that is longer than its disk needs, where it overlaps something else. */
import { alignUp } from '../../format/bytes.js';
import { l1EntriesFor } from '../../format/geometry.js';
import { diskSizeOf } from '../../format/header.js';
import { setL1Table } from '../../format/header-fields.js';
import { changeHeader } from './header-sector.js';
import type { RepairContext } from './repair-context.js';

/**
 * Shortens the table to the entries that the disk needs, if its clusters behind those have other uses: then the length
 * in the header is wrong, not what is there. Returns true if it did.
 *
 * @throws what the medium throws.
 */
export async function shortenL1Table(
  { medium, header, geometry, log }: RepairContext,
  isShared: (at: number, length: number) => boolean,
): Promise<boolean> {
  const { l1TableOffset: at, l1Size } = header;
  const needed = l1EntriesFor(geometry, diskSizeOf(header));
  const start = alignUp(at + needed * 8, geometry.clusterSize);
  const end = at + l1Size * 8;
  if (start >= end || !isShared(start, end - start)) return false;
  await changeHeader(medium, (sector) => setL1Table(sector, at, needed));
  await medium.flush();
  log.count('header-corrected');
  return true;
}
