/** The types of a check's options and report. */
import type { OperationOptions } from './options.js';

/** Options of a check. */
export type CheckOptions = OperationOptions;

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
  | 'zero-flag';

/** A fault of an image and its location. Structured-cloneable. */
export interface Finding {
  /** The count of the report that includes it. */
  readonly kind: 'corruption' | 'leak' | 'check-error' | 'extra';
  readonly fault: Fault;
  /** The structure, in the specification's words: `'L2 table 7, entry 3'`, `'cluster'`. */
  readonly what: string;
  /** Its offset in the image file, bytes. */
  readonly at: number;
  /** Number of faults in it: neighbouring clusters with the same fault are one finding. */
  readonly count: number;
  /** Description of the fault, one sentence. */
  readonly message: string;
}

/** The counts of `qemu-img check --output=json` in camelCase, and all findings. */
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
  /** In the order of discovery. At most 65,536; the counts include all. */
  readonly findings: readonly Finding[];
}
