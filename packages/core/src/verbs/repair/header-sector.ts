/** Changes the header's fields on the medium. */
import { viewOf } from '../../format/bytes.js';
import { INCOMPATIBLE } from '../../format/header.js';
import { HEADER_SECTOR_BYTES, setIncompatible } from '../../format/header-fields.js';
import type { Medium } from './medium.js';

/** Changes fields of sector 0 in one write, between two flushes; returns false when `edit` changed nothing. */
export async function changeHeader(medium: Medium, edit: (sector: DataView) => void): Promise<boolean> {
  const bytes = new Uint8Array(HEADER_SECTOR_BYTES);
  await medium.read([{ at: 0, bytes }]);
  const before = bytes.slice();
  edit(viewOf(bytes));
  if (before.every((byte, index) => byte === bytes[index])) return false;
  await medium.flush();
  await medium.write([{ at: 0, bytes }]);
  await medium.flush();
  return true;
}

/**
 * Marks the image corrupt, so that nothing writes to it until the repair is complete. Version 2 has no such mark.
 */
export async function markUnderRepair(medium: Medium, version: 2 | 3): Promise<void> {
  if (version === 3) await changeHeader(medium, (sector) => setIncompatible(sector, INCOMPATIBLE.corrupt, true));
}

/** Clears the dirty and the corrupt bit of an image that is sound; returns true if one was set. */
export async function clearMarks(medium: Medium, version: 2 | 3): Promise<boolean> {
  if (version === 2) return false;
  return changeHeader(medium, (sector) => {
    setIncompatible(sector, INCOMPATIBLE.dirty, false);
    setIncompatible(sector, INCOMPATIBLE.corrupt, false);
  });
}
