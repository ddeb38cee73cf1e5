/** Changes the header's fields on the medium. */
import { viewOf } from '../../format/bytes.js';
import { INCOMPATIBLE } from '../../format/header.js';
import { clearUnknownAutoclear, HEADER_SECTOR_BYTES, setIncompatible } from '../../format/header-fields.js';
import type { Medium } from './medium.js';

/** Changes fields of sector 0 in one write, between two flushes; returns false when `edit` changed nothing. */
export async function changeHeader(medium: Medium, edit: (sector: DataView) => void): Promise<boolean> {
  if (!isChange(await readSector(medium), edit)) return false;
  await medium.beforeChange();
  const bytes = await readSector(medium);
  edit(viewOf(bytes));
  await medium.flush();
  await medium.write([{ at: 0, bytes }]);
  await medium.flush();
  return true;
}

async function readSector(medium: Medium): Promise<Uint8Array> {
  const bytes = new Uint8Array(HEADER_SECTOR_BYTES);
  await medium.read([{ at: 0, bytes }]);
  return bytes;
}

function isChange(bytes: Uint8Array, edit: (sector: DataView) => void): boolean {
  const edited = bytes.slice();
  edit(viewOf(edited));
  return edited.some((byte, index) => byte !== bytes[index]);
}

/**
 * Marks the image corrupt, so that nothing writes to it until the repair is complete, and clears the autoclear bits
 * that are not known, as every writer must. Version 2 has neither.
 */
export async function markUnderRepair(medium: Medium, version: 2 | 3): Promise<void> {
  if (version === 2) return;
  await changeHeader(medium, (sector) => {
    clearUnknownAutoclear(sector);
    setIncompatible(sector, INCOMPATIBLE.corrupt, true);
  });
}

/** Clears the autoclear bits that are not known, for a repair that needs no mark. */
export async function clearAutoclear(medium: Medium, version: 2 | 3): Promise<void> {
  if (version === 3) await changeHeader(medium, clearUnknownAutoclear);
}

/** True if the dirty or the corrupt bit is set. Version 2 has neither. */
export async function isMarked(medium: Medium): Promise<boolean> {
  const bytes = await readSector(medium);
  return viewOf(bytes).getUint32(4) > 2 && isChange(bytes, clear);
}

/** Clears the dirty and the corrupt bit of an image that is sound. */
export async function clearMarks(medium: Medium, version: 2 | 3): Promise<void> {
  if (version === 2 || !(await isMarked(medium))) return;
  await changeHeader(medium, (sector) => {
    clearUnknownAutoclear(sector);
    clear(sector);
  });
}

function clear(sector: DataView): void {
  setIncompatible(sector, INCOMPATIBLE.dirty, false);
  setIncompatible(sector, INCOMPATIBLE.corrupt, false);
}
