/** The parts of an image file that compaction moves. */

/** What a cluster contains that moves by itself. */
export type ClusterKind = 'guest data' | 'L2 table' | 'bitmap data';

/** A cluster that moves by itself. */
export interface MovedCluster {
  readonly kind: ClusterKind;
  /** Its host offset. */
  readonly host: number;
  /** The host offsets of the 8-byte words that refer to it. */
  readonly words: readonly number[];
}

/** A compressed stream. Streams share clusters, and move one by one. */
export interface MovedStream {
  readonly host: number;
  /** Bytes. */
  readonly length: number;
  /** As above. */
  readonly words: readonly number[];
}

/** What was found from a cluster of the file on. */
export interface Units {
  /** The cluster: it rises when there is more than can be kept in memory. */
  readonly from: number;
  readonly clusters: readonly MovedCluster[];
  readonly streams: readonly MovedStream[];
  /** The L2 tables that snapshots refer to, by host offset, and how many L1 entries of snapshots do. */
  readonly snapshotTables: ReadonlyMap<number, number>;
  /** The L2 tables of the active disk in which words were found, by host offset, and their L1 entries. */
  readonly activeTables: ReadonlyMap<number, number>;
}
