/** For loops over all entries of tables, where a call that decodes each entry is too slow. */
import { COMPRESSED, COPIED, L2_RESERVED_HIGH, OFFSET_HIGH } from './entries.js';

/**
 * Masks of the high word of an L2 entry, for loops over millions of them. `flags` are the bits that neither an
 * unallocated nor a plain data cluster has; `copied` and `offset` are the other bits.
 */
export const PLAIN_HIGH: { readonly flags: number; readonly copied: number; readonly offset: number } = {
  flags: L2_RESERVED_HIGH | COMPRESSED,
  copied: COPIED,
  offset: OFFSET_HIGH,
};

/** True if all bits of the 8-byte entry at the byte `at` of a table are zero. */
export function isEmptyEntry(table: DataView, at: number): boolean {
  return table.getUint32(at) === 0 && table.getUint32(at + 4) === 0;
}
