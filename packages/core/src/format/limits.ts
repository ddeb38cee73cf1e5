/** Owns the limits that QEMU sets to what a header may ask for; each is checked before memory is taken. */

/** The smallest and the largest `cluster_bits`: 512 bytes and 2 MiB. */
export const MIN_CLUSTER_BITS = 9;
export const MAX_CLUSTER_BITS = 21;
/** With extended L2 entries a subcluster, a 32nd of the cluster, must be at least 512 bytes. */
export const MIN_EXTENDED_CLUSTER_BITS = 14;
/** An L1 table: 32 MiB, of the disk or of a snapshot. */
export const MAX_L1_BYTES: number = 32 * 1024 * 1024;
/** The refcount table: 8 MiB. */
export const MAX_REFCOUNT_TABLE_BYTES: number = 8 * 1024 * 1024;
/** Refcounts are 1 << order bits wide. */
export const MAX_REFCOUNT_ORDER = 6;
/** How many snapshots, how many bytes their table takes, and how much extra data one of them carries. */
export const MAX_SNAPSHOTS = 65_536;
export const MAX_SNAPSHOT_TABLE_BYTES: number = 64 * 1024 * 1024;
export const MAX_SNAPSHOT_EXTRA_BYTES = 1024;
/** How many bitmaps, and how many bytes their directory takes. */
export const MAX_BITMAPS = 65_535;
export const MAX_BITMAP_DIRECTORY_BYTES: number = 1024 * MAX_BITMAPS;
export const MAX_BITMAP_NAME_BYTES = 1023;
/** How many bytes the clusters of a bitmap's data may take: 512 MiB. */
export const MAX_BITMAP_DATA_BYTES: number = 512 * 1024 * 1024;
/** The granularity of a bitmap: 512 bytes to 2 GiB. */
export const MIN_GRANULARITY_BITS = 9;
export const MAX_GRANULARITY_BITS = 31;
/** The length of a backing file's name, and of the name of its format. */
export const MAX_BACKING_NAME_BYTES = 1023;
export const MAX_BACKING_FORMAT_BYTES = 15;
/** Host offsets fit in 56 bits. */
export const MAX_HOST_OFFSET: number = 2 ** 56;
/** How many files a chain may hold, the image itself included. */
export const MAX_CHAIN_DEPTH = 16;
