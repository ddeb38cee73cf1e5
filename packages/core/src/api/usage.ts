/** The types of what an image file consists of. */

/** An internal snapshot, and what it alone takes. */
export interface SnapshotUsage {
  readonly id: string;
  readonly name: string;
  /**
   * Bytes that only this snapshot refers to: clusters of data and VM state, L2 tables, its L1 table. Deleting it frees
   * them, if the refcounts are right.
   */
  readonly exclusive: number;
}

/**
 * Where the bytes of an image file are. Each byte counts once: all figures but `fileSize` and `dataFile`, the
 * `exclusive` ones included, add up to `fileSize`. A cluster that several structures use counts for the first of
 * `tables`, `bitmaps`, `data`, snapshots. The last cluster of a file may be short, and counts as long as it is.
 * Structured-cloneable.
 */
export interface Usage {
  /** Length of the image file, bytes. */
  readonly fileSize: number;
  /** Clusters that the active disk refers to, compressed ones and preallocated zero clusters included. */
  readonly data: number;
  /** In the order of the table. */
  readonly snapshots: readonly SnapshotUsage[];
  /**
   * What two or more snapshots refer to and the active disk does not: deleting one of them does not free it. What the
   * active disk refers to as well is in `data` and `tables`.
   */
  readonly sharedSnapshots: number;
  /** The header, the active L1 and L2 tables, the refcount table and blocks, the snapshot table, a LUKS header. */
  readonly tables: number;
  /** The bitmap directory, and tables and data of bitmaps. */
  readonly bitmaps: number;
  /** Clusters that nothing refers to, though their refcount is not 0. A repair frees them. */
  readonly leaks: number;
  /**
   * Clusters that something refers to, though their refcount is 0 or cannot be read; they count nowhere else. 0 in a
   * sound image: a writer could use them for something else.
   */
  readonly uncounted: number;
  /** Clusters before the end of the file that nothing refers to, and that no refcount counts: writes will use them. */
  readonly free: number;
  /** Bytes that the disk has allocated in the external data file; absent when there is none. */
  readonly dataFile?: number | undefined;
}
