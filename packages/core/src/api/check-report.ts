/** Types of what a check takes and reports. */
import type { OperationOptions } from './options.js';

/** How an image is checked. */
export type CheckOptions = OperationOptions;

/** What can be wrong with an image: the closed set of {@link Finding.fault}. */
export type Fault =
  /** A table entry has bits set that must be zero. */
  | 'reserved-bits'
  /** A table entry points to the middle of a cluster. */
  | 'unaligned'
  /** A table entry points a cluster or more past the end of the file. */
  | 'past-end'
  /** COPIED is set though the refcount is not one. */
  | 'copied-set'
  /** COPIED is not set though the refcount is one: only slower. */
  | 'copied-missing'
  /** COPIED is set in the entry of a compressed cluster. */
  | 'copied-compressed'
  /** The subcluster bitmap of an extended L2 entry contradicts itself or the entry. */
  | 'subclusters'
  /** A compressed cluster or a snapshot in an image with an external data file. */
  | 'external-data'
  /** The cluster is referenced more often than its refcount says: it would be reused while it is in use. */
  | 'refcount-low'
  /** The refcount is higher than there are references: a leak. */
  | 'refcount-high'
  /** The cluster is referenced more often than its refcount can say. */
  | 'refcount-overflow'
  /** A refcount block is used for something else as well. */
  | 'refcount-block-shared'
  /** The refcount of the cluster cannot be read. */
  | 'refcount-unreadable'
  /** An entry of the snapshot table is damaged, or the table is. */
  | 'snapshot-table'
  /** The bitmap directory, a bitmap's table or one of its entries is damaged. */
  | 'bitmap'
  /** The file has more clusters than can be counted. */
  | 'too-large'
  /** A cluster of metadata is used for something else as well, and the refcount allows for it. */
  | 'overlap'
  /** A guest cluster is not at its own offset in the external data file. */
  | 'data-file-offset'
  /** An entry of a version 2 image says that it reads as zeros, which version 2 does not have. */
  | 'zero-flag';

/** Something that is wrong with an image, and where. Plain and structured-cloneable. */
export interface Finding {
  /** The figure of the report in which it counts. */
  readonly kind: 'corruption' | 'leak' | 'check-error' | 'beyond';
  readonly fault: Fault;
  /** The structure, in the specification's words: `'L2 table 7, entry 3'`, `'cluster'`. */
  readonly what: string;
  /** Its offset in the image file, bytes. */
  readonly at: number;
  /** How often it counts: neighbouring clusters of one fault are one finding. */
  readonly count: number;
  /** What was found, in a sentence. */
  readonly message: string;
}

/** The figures of `qemu-img check --output=json` in camelCase, and every finding with its place. */
export interface CheckReport {
  readonly corruptions: number;
  readonly leaks: number;
  /** What could not be checked. */
  readonly checkErrors: number;
  /** What QEMU does not count. */
  readonly beyond: number;
  /** Where the last cluster ends that is in use, bytes. */
  readonly imageEndOffset: number;
  /** Clusters of the guest's disk. */
  readonly totalClusters: number;
  /** Those of them that have a cluster in the file: data, compressed, or kept for zeros. */
  readonly allocatedClusters: number;
  /** Those that do not follow the one before; all compressed ones. */
  readonly fragmentedClusters: number;
  readonly compressedClusters: number;
  /** In the order in which they were found; of a badly damaged image the first 65,536, while the figures count all. */
  readonly findings: readonly Finding[];
}
