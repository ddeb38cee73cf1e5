/** The types of a repair's options and report. */
import type { CheckReport } from './check-report.js';
import type { OperationOptions } from './options.js';
import type { Range } from './range.js';

/** Options of a repair. */
export interface RepairOptions extends OperationOptions {
  /**
   * `'leaks'` lowers refcounts that are too high, and sets missing COPIED flags. It is refused for an image with any
   * other fault. `'all'` repairs everything that can be repaired.
   */
  readonly fix: 'leaks' | 'all';
  /** Gives the report without writing anything; default false. */
  readonly dryRun?: boolean | undefined;
}

/** What a repair did: the closed set of {@link Repair.action}. */
export type RepairAction =
  /** A field of the header was corrected, or a header extension was removed. */
  | 'header-corrected'
  /** Table entries were corrected: what they map is where it was, or where it must be. */
  | 'entries-corrected'
  /** Entries that lead nowhere were removed. What they mapped is in {@link RepairReport.lost}. */
  | 'entries-removed'
  /** Clusters with two uses were copied, so that each use has its own. */
  | 'clusters-copied'
  /** Refcounts were corrected in place. */
  | 'refcounts-corrected'
  /** All refcounts were counted and written anew, at the end of the file. */
  | 'refcounts-rebuilt'
  /** COPIED flags were set or cleared. */
  | 'copied-corrected'
  /** The snapshot table was written anew. */
  | 'snapshots-rewritten'
  /** The bitmap directory was written anew, or removed. */
  | 'bitmaps-rewritten'
  /** The dirty or the corrupt bit, which was set before the repair, was cleared. */
  | 'marks-cleared';

/** The repairs of one kind. */
export interface Repair {
  readonly action: RepairAction;
  /** How many entries, clusters or fields. */
  readonly count: number;
}

/**
 * A range whose bytes the image no longer contains. It reads as zeros, or as the backing file where it says so. All of
 * it is on the disk: what is lost of a snapshot's machine state is only counted, in `entries-removed`.
 */
export interface RepairLoss extends Range {
  /** The id of the snapshot whose disk it is on; absent for the active disk. */
  readonly snapshot?: string | undefined;
  /** What was wrong, a predicate: "points to 0x7f0000, past the end of the file". */
  readonly reason: string;
  /** The range reads as the backing file: version 2 cannot say that it is zeros. */
  readonly readsBacking: boolean;
}

/** A range of the guest whose cluster had a second use and was copied. */
export interface CopiedRange extends Range {
  /** The id of the snapshot whose disk it is on; absent for the active disk. */
  readonly snapshot?: string | undefined;
  /** Host offsets, bytes. */
  readonly from: number;
  readonly to: number;
}

/** A structure that could not be kept. */
export interface DroppedStructure {
  readonly kind: 'snapshot' | 'bitmap' | 'header extension';
  readonly name: string;
  /** What was wrong, a sentence. */
  readonly reason: string;
}

/** The report of a repair. Structured-cloneable. */
export interface RepairReport {
  /** The check before; absent when the header had to be corrected before anything could be checked. */
  readonly before: CheckReport | undefined;
  /** The check after the repair; of a dry run, the check that would follow. */
  readonly after: CheckReport;
  readonly repairs: readonly Repair[];
  /** Bytes of all lost ranges, of the active disk and of snapshots. */
  readonly lostBytes: number;
  /** In ascending order, the active disk first; at most 65,536. */
  readonly lost: readonly RepairLoss[];
  /** At most 65,536. */
  readonly copied: readonly CopiedRange[];
  readonly dropped: readonly DroppedStructure[];
}
