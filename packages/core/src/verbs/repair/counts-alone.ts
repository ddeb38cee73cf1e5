/** Decides from a check whether counts and COPIED alone are wrong: then no table needs to be looked at for a repair. */
import type { Fault } from '../../api/check-report.js';
import { EXTENSION, findExtension } from '../../format/extensions.js';
import type { Checked } from '../check/check.js';
import { anyCountAbove } from './counted-clusters.js';
import type { RepairContext } from './repair-context.js';

/** Faults of refcounts and of COPIED, which depends on them. */
const OF_COUNTS: readonly Fault[] = ['refcount-low', 'refcount-high', 'copied-set', 'copied-missing'];

/**
 * True if every entry leads where nothing else does, and refcounts and COPIED flags are all that may be wrong. False
 * for an image with snapshots or bitmaps, of which a check does not look at everything.
 */
export function areCountsAloneWrong({ header, extensions }: RepairContext, { report, context }: Checked): boolean {
  if (header.snapshotCount > 0 || findExtension(extensions, EXTENSION.bitmaps) !== undefined) return false;
  if (report.findings.some(({ fault }) => !OF_COUNTS.includes(fault))) return false;
  return !anyCountAbove(1, context.references, 0, context.references.clusters);
}
