/** QEMU's limits for header fields. Each is checked before memory is allocated. */

/** Minimum and maximum of `cluster_bits`: 512 bytes and 2 MiB. */
export const MIN_CLUSTER_BITS = 9;
export const MAX_CLUSTER_BITS = 21;
/** With extended L2 entries a subcluster, a 32nd of the cluster, must be at least 512 bytes. */
export const MIN_EXTENDED_CLUSTER_BITS = 14;
/** Maximum length of an L1 table, active or of a snapshot: 32 MiB. */
export const MAX_L1_BYTES: number = 32 * 1024 * 1024;
/** Maximum length of the refcount table: 8 MiB. */
export const MAX_REFCOUNT_TABLE_BYTES: number = 8 * 1024 * 1024;
/** Refcounts are 1 << order bits wide. */
export const MAX_REFCOUNT_ORDER = 6;
/** Maximum number of snapshots, length of their table in bytes, and extra data of one snapshot in bytes. */
export const MAX_SNAPSHOTS = 65_536;
export const MAX_SNAPSHOT_TABLE_BYTES: number = 64 * 1024 * 1024;
export const MAX_SNAPSHOT_EXTRA_BYTES = 1024;
/** Maximum number of bitmaps, and length of their directory in bytes. */
export const MAX_BITMAPS = 65_535;
export const MAX_BITMAP_DIRECTORY_BYTES: number = 1024 * MAX_BITMAPS;
export const MAX_BITMAP_NAME_BYTES = 1023;
/** Maximum total length of the clusters of one bitmap's data: 512 MiB. */
export const MAX_BITMAP_DATA_BYTES: number = 512 * 1024 * 1024;
/** The granularity of a bitmap: 512 bytes to 2 GiB. */
export const MIN_GRANULARITY_BITS = 9;
export const MAX_GRANULARITY_BITS = 31;
/** Maximum length of a backing file's name, and of the name of its format, bytes. */
export const MAX_BACKING_NAME_BYTES = 1023;
export const MAX_BACKING_FORMAT_BYTES = 15;
/** Host offsets fit in 56 bits. */
export const MAX_HOST_OFFSET: number = 2 ** 56;
/** Maximum number of files in a backing chain, including the image itself. */
export const MAX_CHAIN_DEPTH = 16;
