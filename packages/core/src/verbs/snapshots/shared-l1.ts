/** Writes the copy of an L1 table through which a snapshot and the disk share clusters. */

import type { Steps } from '../../engine/async/steps.js';
import type { Structure } from '../../engine/write/structure.js';
import { bytesOf } from '../../format/view-bytes.js';
import type { References } from './references.js';
import { writeTable } from './snapshot-table.js';

/**
 * Adds `references`, those of the L1 table, to the refcounts, and writes a copy of the table to a new place; an empty
 * one has none, and is at 0. `referTo` makes them last. If anything throws, nothing is shared, and the copy is freed.
 * Returns the host offset of the copy.
 */
export function* shareL1(
  structure: Structure,
  references: References,
  kind: "snapshot's L1 table" | 'L1 table',
  l1: DataView,
  referTo: (at: number) => Steps,
): Steps<number> {
  let at = 0;
  try {
    yield* references.raise();
    if (l1.byteLength > 0) at = yield* writeTable(structure, kind, bytesOf(l1));
    yield* referTo(at);
    return at;
  } catch (error) {
    // A read has failed: nothing refers to the copy.
    references.lower();
    if (at > 0) structure.state.space.retire({ host: at, length: l1.byteLength });
    throw error;
  }
}
