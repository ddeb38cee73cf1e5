/** Brings tables to the medium before what refers to a cluster is read there. */
import type { Steps } from '../async/steps.js';
import { writeBack } from './write-back.js';
import type { WriteState } from './write-state.js';

/** Writes back, unless the tables are on the medium and every refcount is exact. */
export function* settle(state: WriteState): Steps {
  const { tables, dirtyL1, space, words, refcounts } = state;
  const isSettled =
    tables.empty &&
    dirtyL1.empty &&
    space.quarantine.size === 0 &&
    words.length === 0 &&
    refcounts.unlinked.size === 0 &&
    !refcounts.moved;
  if (!isSettled) yield* writeBack(state, 'check');
}
