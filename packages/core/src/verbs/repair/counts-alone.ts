/** Decides from a check whether counts and COPIED alone are wrong: then no table needs to be looked at for a repair. */
import type { Fault } from '../../api/check-report.js';
import { nextPage, wordsOf } from '../../engine/allocation/cluster-counts.js';
import { EXTENSION, findExtension } from '../../format/extensions.js';
import type { Checked } from '../check/check.js';
import type { RepairContext } from './repair-context.js';

/** Faults of refcounts and of COPIED, which depends on them. */
const OF_COUNTS: readonly Fault[] = ['refcount-low', 'refcount-high', 'copied-set', 'copied-missing'];
/** In a word of four counts: one of them is more than 1. */
const MORE_THAN_ONE = 0xfefe_fefe | 0;

/**
 * True if every entry leads where nothing else does, and refcounts and COPIED flags are all that may be wrong. False
 * for an image with snapshots or bitmaps, of which a check does not look at everything.
 */
export function areCountsAloneWrong({ header, extensions }: RepairContext, { report, context }: Checked): boolean {
  if (header.snapshotCount > 0 || findExtension(extensions, EXTENSION.bitmaps) !== undefined) return false;
  if (report.findings.some(({ fault }) => !OF_COUNTS.includes(fault))) return false;
  return !hasShared(context);
}

/** Whether any cluster is referenced more than once. */
function hasShared({ references }: Checked['context']): boolean {
  for (let first = 0; first < references.clusters; first = nextPage(first)) {
    if (!references.any(first)) continue;
    // Counts past the last cluster are 0.
    if (wordsOf(references.page(first)).some((word) => (word & MORE_THAN_ONE) !== 0)) return true;
  }
  return false;
}
