/** The types of a check's options and report. */
import type { OperationOptions } from './options.js';
import type { Range } from './range.js';

/** Options of a check. */
export interface CheckOptions extends OperationOptions {
  /**
   * Also looks for faults that QEMU does not look for, which are findings of the kind `'extra'`: inflates every
   * compressed cluster, of the disk and of its snapshots, and checks header extensions, autoclear bits, the LUKS header
   * and the bits of bitmaps. Default false. It takes as long as reading all compressed clusters.
   */
  deep?: boolean | undefined;
}

/** The faults that a check finds: the closed set of {@link Finding.fault}. */
export type Fault =
  /** A table entry has bits set that must be zero. */
  | 'reserved-bits'
  /** A table entry points to the middle of a cluster. */
  | 'unaligned'
  /** A table entry points a cluster or more past the end of the file. */
  | 'past-end'
  /** COPIED is set though the refcount is not one. */
  | 'copied-set'
  /** COPIED is not set though the refcount is one. This costs only speed. */
  | 'copied-missing'
  /** COPIED is set in the entry of a compressed cluster. */
  | 'copied-compressed'
  /** The subcluster bitmap of an extended L2 entry contradicts itself or the entry. */
  | 'subclusters'
  /** A compressed cluster or a snapshot in an image with an external data file. */
  | 'external-data'
  /** The cluster has more references than its refcount: it could be reused while it is in use. */
  | 'refcount-low'
  /** The refcount is higher than there are references: a leak. */
  | 'refcount-high'
  /** The cluster has more references than its refcount can represent. */
  | 'refcount-overflow'
  /** The cluster of a refcount block has another use as well. */
  | 'refcount-block-shared'
  /** The refcount of the cluster cannot be read. */
  | 'refcount-unreadable'
  /** The snapshot table or one of its entries is damaged. */
  | 'snapshot-table'
  /** The bitmap directory, a bitmap's table or one of its entries is damaged. */
  | 'bitmap'
  /** The file has more clusters than can be counted. */
  | 'too-large'
  /** A cluster of metadata has another use as well, and its refcount includes both. */
  | 'overlap'
  /** A guest cluster is not at its own offset in the external data file. */
  | 'data-file-offset'
  /** An entry of a version 2 image has the zero flag, which version 2 does not have. */
  | 'zero-flag'
  /** A compressed cluster does not inflate to exactly one cluster. Only in a deep check, as are the following. */
  | 'compressed-stream'
  /** An autoclear bit is set, and what it stands for is not there. */
  | 'autoclear-bits'
  /** There are two header extensions of one type. */
  | 'duplicate-extension'
  /** The LUKS header is invalid. */
  | 'luks-header'
  /** A bitmap has bits past the end of the disk. */
  | 'bitmap-bits';

/** What a fault means for the guest: the closed set of {@link Finding.impact}, worst first. */
export type Impact =
  /** Bytes that the guest wrote are not in the file. */
  | 'data-missing'
  /** What the guest reads may be wrong. */
  | 'data-doubtful'
  /** The guest reads what it wrote, but a write could destroy data: repair the image first. */
  | 'bookkeeping'
  /** Space in the file is not used. */
  | 'wasted-space';

/** Something that refers to a cluster. */
export interface Reference {
  /** The structure, in the specification's words: `'L2 table 7, entry 3'`, `'L1 entry 2 of snapshot 0'`. */
  readonly what: string;
  /** Its offset in the image file, bytes. */
  readonly at: number;
  /** What it maps, on the disk of the image or of the snapshot that `what` names. */
  readonly guest?: Range | undefined;
}

/** One place of a finding. */
export interface FindingPlace {
  /** The structure, in the specification's words: `'L2 table 7, entry 3'`, `'cluster'`, `'12 clusters'`. */
  readonly what: string;
  /** Its offset in the image file, bytes. */
  readonly at: number;
  /** Description of the fault, one sentence. */
  readonly message: string;
  /** What it maps, on the disk of the image or of the snapshot that `what` names. */
  readonly guest?: Range | undefined;
  /** All that refers to the cluster, at most 8, where several structures do. */
  readonly references?: readonly Reference[] | undefined;
}

/** The faults of one cause. Structured-cloneable. */
export interface Finding {
  /** The count of the report that includes it. */
  readonly kind: 'corruption' | 'leak' | 'check-error' | 'extra';
  readonly fault: Fault;
  readonly impact: Impact;
  /** Number of faults. */
  readonly count: number;
  /** Where the first of them are, in the order of discovery; at most 16. */
  readonly places: readonly FindingPlace[];
  /** The ranges of the disk that are known to be concerned, ascending and merged; the first 1,024. */
  readonly guest: readonly Range[];
}

/** The counts of `qemu-img check --output=json` in camelCase, and what was found. */
export interface CheckReport {
  readonly corruptions: number;
  readonly leaks: number;
  /** Number of structures that could not be checked. */
  readonly checkErrors: number;
  /** Number of faults that QEMU does not report. */
  readonly extra: number;
  /** End of the last cluster in use, bytes. */
  readonly imageEndOffset: number;
  /** Clusters of the guest's disk. */
  readonly totalClusters: number;
  /** Those of them that have a host cluster: data, compressed, or preallocated zero clusters. */
  readonly allocatedClusters: number;
  /** Those whose host cluster does not follow the previous one, and all compressed ones. */
  readonly fragmentedClusters: number;
  readonly compressedClusters: number;
  /** Grouped by kind, fault and impact: the worst impact first, then in the order of discovery. */
  readonly findings: readonly Finding[];
}
