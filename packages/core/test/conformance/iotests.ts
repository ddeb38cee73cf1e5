/**
 * What QEMU's iotests check of damaged, dirty and unusual images, in our words, and the test here that covers each
 * case. Nothing of the iotests is copied.
 */

/** The iotests whose cases are listed. */
export const IOTESTS = ['039', '060', '080', '108', '112', '138', '261'] as const;

/** A case of an iotest with its test here. */
export interface CoveredCase {
  readonly iotest: (typeof IOTESTS)[number];
  readonly case: string;
  /** The file of the test or, of a row of a parametrised test, the file with the rows. */
  readonly test: string;
  /** The title of the test, or of the row, or a distinctive part of it. */
  readonly name: string;
}

/** A case that this library has nothing for. */
export interface OtherCase {
  readonly iotest: (typeof IOTESTS)[number];
  readonly case: string;
  readonly why: string;
}

const CORE = 'packages/core/test';
const CREATE = `${CORE}/create/create.test.ts`;
const DAMAGES = `${CORE}/check/damages.ts`;
const ENTRY_RULES = `${CORE}/hostile/entry-rules.ts`;
const FIELDS = `${CORE}/hostile/fields.test.ts`;
const LAZY = `${CORE}/writing/lazy-refcounts.test.ts`;
const OPENING = `${CORE}/repair/opening.test.ts`;
const REFCOUNTS = `${CORE}/repair/refcounts.test.ts`;
const REFUSED = `${CORE}/repair/refused-writes.test.ts`;
const RULES = `${CORE}/hostile/rules.ts`;
const SNAPSHOT_TABLES = `${CORE}/repair/snapshot-tables.test.ts`;
const SNAPSHOTS = `${CORE}/snapshots.test.ts`;
const WRITING = `${CORE}/writing/rules.test.ts`;

const NO_SNAPSHOTS = 'This library reads snapshots, and does not create, apply or delete them.';
const NO_AMEND = 'This library does not change the version or the refcount width of an image.';
const NO_RESIZE = 'This library does not resize disks.';
const NO_COMPRESSED_WRITES = 'This library reads compressed clusters, and does not write them.';

/** Every case, in the order of the iotests. */
export const CASES: readonly (CoveredCase | OtherCase)[] = [
  {
    iotest: '039',
    case: 'an image with lazy refcounts that was written and closed is not dirty',
    test: `${CORE}/writing/current-info.test.ts`,
    name: 'an image with lazy refcounts is dirty, until it is closed',
  },
  {
    iotest: '039',
    case: 'it is dirty, and its refcounts are wrong, when the process ends without closing it',
    test: LAZY,
    name: 'is marked dirty with lazy refcounts, can be read as it is, and is repaired with its data',
  },
  {
    iotest: '039',
    case: 'a dirty image opens for reading, and stays dirty',
    test: WRITING,
    name: 'for writing refuses an image that is marked %s, which opens for reading',
  },
  {
    iotest: '039',
    case: 'a repair clears the dirty bit, and the data can be read afterwards',
    test: LAZY,
    name: 'can be read as it is, and is repaired with its data',
  },
  {
    iotest: '039',
    case: 'opening a dirty image for writing repairs it',
    test: OPENING,
    name: 'is repaired before it is opened for writing, if that is asked for',
  },
  {
    iotest: '039',
    case: 'without lazy refcounts an image that was not closed is neither dirty nor wrong',
    test: LAZY,
    name: 'is not marked dirty without lazy refcounts, and QEMU finds nothing wrong with it',
  },
  {
    iotest: '039',
    case: 'committing to a backing file with lazy refcounts leaves both images clean',
    why: 'This library does not commit an image into its backing file.',
  },
  {
    iotest: '039',
    case: 'lazy refcounts are switched on and off while the image is open',
    why: 'That is an option of QEMU at run time; here the compatible bit of the image decides.',
  },
  {
    iotest: '060',
    case: 'an L1 entry that leads to the L1 table is found; a write is refused and marks the image corrupt',
    test: REFUSED,
    name: 'an L1 entry that leads to the L1 table',
  },
  {
    iotest: '060',
    case: 'an image that is marked corrupt opens for reading alone',
    test: WRITING,
    name: "['corrupt', 2n]",
  },
  {
    iotest: '060',
    case: 'guest data on a refcount block are found; a write is refused, and possible after a repair',
    test: REFUSED,
    name: 'an L2 entry that leads to the refcount block',
  },
  {
    iotest: '060',
    case: 'guest data on an L2 table of a snapshot are found and repaired, and the snapshot keeps its data',
    test: REFUSED,
    name: 'an L2 entry that leads to an L2 table of a snapshot, which keeps its data',
  },
  {
    iotest: '060',
    case: 'an overlap is found while another write copies on write, which fails and does not crash',
    test: REFUSED,
    name: 'are refused before one copies from the backing file',
  },
  {
    iotest: '060',
    case: 'a write is refused when the header has no refcount',
    test: REFUSED,
    name: 'a header whose refcount is 0',
  },
  {
    iotest: '060',
    case: 'an L1 entry that leads inside a cluster is refused by a read',
    test: ENTRY_RULES,
    name: 'an L2 table at a cluster',
  },
  { iotest: '060', case: 'such an L1 entry, and zero clusters that are expanded for version 2', why: NO_AMEND },
  {
    iotest: '060',
    case: 'an L2 entry that leads inside a cluster is refused by a read',
    test: ENTRY_RULES,
    name: 'data at a cluster',
  },
  { iotest: '060', case: 'an allocated zero cluster inside a cluster is expanded for version 2', why: NO_AMEND },
  {
    iotest: '060',
    case: 'a write is refused when an entry of the refcount table leads inside a cluster',
    test: REFUSED,
    name: 'a refcount block inside a cluster',
  },
  {
    iotest: '060',
    case: 'a discard of an entry that leads inside a cluster does no harm',
    test: REFUSED,
    name: 'are refused at a discard of one and a read of the other, which change nothing',
  },
  {
    iotest: '060',
    case: 'each read of such an entry fails where the image cannot be written',
    test: REFUSED,
    name: 'are refused at each read of an image that cannot be written',
  },
  {
    iotest: '060',
    case: 'a damaged entry is discarded, then another one is read: both are reported',
    test: REFUSED,
    name: 'are refused at a discard of one and a read of the other',
  },
  {
    iotest: '060',
    case: 'an empty disk has no refcount block: a write is refused, and possible after a repair',
    test: REFUSED,
    name: 'an empty refcount table of an empty disk',
  },
  {
    iotest: '060',
    case: 'a disk with data has no refcount block: nothing is allocated over the header, and it can be repaired',
    test: REFUSED,
    name: "name: 'an empty refcount table'",
  },
  {
    iotest: '060',
    case: 'all refcounts are 0: a write is refused, and possible after a repair',
    test: REFUSED,
    name: 'an empty refcount block',
  },
  { iotest: '060', case: 'all refcounts are 0, and a compressed cluster is written', why: NO_COMPRESSED_WRITES },
  {
    iotest: '060',
    case: 'a refcount table of no clusters is refused, and repaired',
    test: REFUSED,
    name: 'a refcount table of no clusters',
  },
  {
    iotest: '060',
    case: 'a refcount table at offset 0 is not written to',
    test: REFUSED,
    name: 'a refcount table at the header',
  },
  {
    iotest: '060',
    case: 'a dirty image with a refcount block inside a cluster is not opened for writing, and can be repaired',
    test: REFUSED,
    name: 'a refcount block inside a cluster, in an image that is marked dirty',
  },
  {
    iotest: '060',
    case: 'a write to an allocated zero cluster inside the header is refused, and possible after a repair',
    test: REFUSED,
    name: 'an allocated cluster of zeros inside the header',
  },
  {
    iotest: '060',
    case: 'a discard with a refcount block inside a cluster does no harm: the image is not opened for writing',
    test: WRITING,
    name: 'is not opened with an entry of the refcount table that is %s',
  },
  {
    iotest: '060',
    case: 'a refcount block far past the end of the file is repaired',
    test: REFCOUNTS,
    name: 'loses its entry for a block %s',
  },
  {
    iotest: '060',
    case: 'refcount blocks of one-bit refcounts that no or a misplaced block counts are repaired',
    test: REFCOUNTS,
    name: 'loses its entry for a block that a refcount of one bit would have to count far past the end',
  },
  { iotest: '060', case: 'the disk is shrunk with each of these refcount blocks', why: NO_RESIZE },
  {
    iotest: '060',
    case: 'an image in which a write was refused can be closed',
    test: REFUSED,
    name: 'a write is refused, and possible after a repair:',
  },
  {
    iotest: '060',
    case: 'an image that waits for a migration is not marked corrupt by a read',
    why: 'Migration is QEMU’s. That a read marks nothing is tested with images that are open for reading.',
  },
  { iotest: '080', case: 'a header longer than a cluster is refused', test: RULES, name: 'a header within a cluster' },
  {
    iotest: '080',
    case: 'an unknown header extension that is longer than its area is refused',
    test: RULES,
    name: 'an extension within its area',
  },
  {
    iotest: '080',
    case: 'a backing file name at the highest offset, behind such an extension, is refused',
    test: RULES,
    name: 'backing_file_offset within the first cluster',
  },
  {
    iotest: '080',
    case: 'a refcount table of more than 8 MiB is refused, before memory is taken for it',
    test: FIELDS,
    name: "['refcount_table_clusters', 56, 4, [2049, 0xffff_ffff]]",
  },
  {
    iotest: '080',
    case: 'a refcount table inside a cluster is refused',
    test: RULES,
    name: 'a refcount table at a cluster',
  },
  {
    iotest: '080',
    case: 'a refcount table past the highest offset is refused',
    test: RULES,
    name: 'a refcount table below 2^56',
  },
  {
    iotest: '080',
    case: 'more snapshots than 65,536 are refused, before memory is taken for them',
    test: FIELDS,
    name: "['nb_snapshots', 60, 4, [65_537, 0xffff_ffff]]",
  },
  {
    iotest: '080',
    case: 'a snapshot table past the highest offset is refused',
    test: RULES,
    name: 'a snapshot table below 2^56',
  },
  {
    iotest: '080',
    case: 'a snapshot table inside a cluster is refused, even without snapshots',
    test: RULES,
    name: 'a snapshot table at a cluster, also without snapshots',
  },
  { iotest: '080', case: 'no snapshot is added to 65,536', why: NO_SNAPSHOTS },
  {
    iotest: '080',
    case: 'an L1 table of more than 32 MiB is refused, before memory is taken for it',
    test: FIELDS,
    name: "['l1_size', 36, 4, [0x40_0001, 0x1fff_ffff, 0xffff_ffff]]",
  },
  {
    iotest: '080',
    case: 'an L1 table past the highest offset is refused',
    test: RULES,
    name: 'an L1 table below 2^56',
  },
  { iotest: '080', case: 'an L1 table inside a cluster is refused', test: RULES, name: 'an L1 table at a cluster' },
  {
    iotest: '080',
    case: 'an L1 table without entries is refused in an image with a snapshot',
    test: RULES,
    name: 'an L1 table that covers the disk, with snapshots',
  },
  {
    iotest: '080',
    case: 'a backing file name longer than 1023 bytes is refused',
    test: FIELDS,
    name: 'of %i bytes is refused',
  },
  {
    iotest: '080',
    case: 'an L2 entry with an offset far past the end of the file is refused',
    test: ENTRY_RULES,
    name: 'written data within the file',
  },
  { iotest: '080', case: 'a snapshot is taken with such an L2 entry', why: NO_SNAPSHOTS },
  {
    iotest: '080',
    case: 'the disk of a snapshot whose L1 table is inside a cluster is not read',
    test: SNAPSHOTS,
    name: 'an L1 table between clusters',
  },
  {
    iotest: '080',
    case: 'a snapshot whose L1 table is inside a cluster is found by a check, and repaired',
    test: DAMAGES,
    name: 'a snapshot whose L1 table is not aligned',
  },
  {
    iotest: '080',
    case: 'the disk of a snapshot whose L1 table is too long is not read',
    test: SNAPSHOTS,
    name: 'an L1 table of more than 32 MiB',
  },
  {
    iotest: '080',
    case: 'a snapshot whose L1 table is too long is found by a check, and repaired',
    test: DAMAGES,
    name: 'a snapshot whose L1 table is too long',
  },
  {
    iotest: '080',
    case: 'the image with either snapshot is not opened for writing',
    test: SNAPSHOT_TABLES,
    name: 'is not opened for writing with an L1 table %s',
  },
  { iotest: '080', case: 'such a snapshot is applied and deleted', why: NO_SNAPSHOTS },
  { iotest: '080', case: 'an image with such a snapshot is changed to version 2', why: NO_AMEND },
  {
    iotest: '108',
    case: 'an image without a refcount table gets one, and its data are still there',
    test: REFCOUNTS,
    name: 'of no clusters at offset 0 is made anew, and the data are still there',
  },
  {
    iotest: '108',
    case: 'a data cluster that no refcount block counts is not overwritten by its new block',
    test: REFCOUNTS,
    name: 'gets a new block beside a data cluster that had none, and not over it',
  },
  {
    iotest: '108',
    case: 'a refcount block past the end of the file that is counted is repaired',
    test: REFCOUNTS,
    name: 'past the end of the file, which has a refcount',
  },
  {
    iotest: '108',
    case: 'a refcount block past the end of the file that is not counted is repaired',
    test: DAMAGES,
    name: 'a refcount table entry past the end',
  },
  {
    iotest: '108',
    case: 'a refcount block that ends at the highest signed offset is repaired',
    test: REFCOUNTS,
    name: 'that ends at 2^63',
  },
  {
    iotest: '108',
    case: 'a refcount block that ends at the highest unsigned offset is repaired',
    test: REFCOUNTS,
    name: 'that ends at 2^64',
  },
  {
    iotest: '108',
    case: 'a repair uses free space in the file, which does not get longer',
    test: REFCOUNTS,
    name: 'does not get longer by its repair',
  },
  {
    iotest: '108',
    case: 'a rebuilt refcount table takes the first hole that is long enough',
    why: 'Where a repair puts a refcount table is its own choice: here the old one is corrected in place.',
  },
  {
    iotest: '108',
    case: 'an image on a block device that cannot grow is repaired',
    test: REFCOUNTS,
    name: 'is repaired on a device that cannot grow',
  },
  { iotest: '112', case: 'refcounts of no bits are refused', test: CREATE, name: 'refcounts of no bits' },
  {
    iotest: '112',
    case: 'a negative refcount width is refused',
    test: CREATE,
    name: 'refcounts of less than no bits',
  },
  { iotest: '112', case: 'refcounts of more than 64 bits are refused', test: CREATE, name: 'refcounts too wide' },
  {
    iotest: '112',
    case: 'a refcount width that is no power of two is refused',
    test: CREATE,
    name: 'refcounts that are no power of two',
  },
  { iotest: '112', case: 'refcounts of 1 bit can be created', test: CREATE, name: '1-bit refcounts' },
  { iotest: '112', case: 'refcounts of 64 bits can be created', test: CREATE, name: '64-bit refcounts' },
  { iotest: '112', case: 'refcounts have 16 bits by default', test: CREATE, name: 'the defaults' },
  { iotest: '112', case: 'refcounts of version 2 have 16 bits', test: CREATE, name: "['version 2', " },
  {
    iotest: '112',
    case: 'no others can be created in version 2',
    test: CREATE,
    name: 'version 2 with other refcounts',
  },
  { iotest: '112', case: 'no snapshot is taken with refcounts of 1 bit, and two with 2 bits', why: NO_SNAPSHOTS },
  {
    iotest: '112',
    case: 'two compressed clusters do not share a host cluster with refcounts of 1 bit',
    why: NO_COMPRESSED_WRITES,
  },
  {
    iotest: '112',
    case: 'a cluster whose refcount has the highest of 64 bits set can be written',
    test: REFCOUNTS,
    name: 'of 2^63 is no reason to refuse a write, which copies the cluster',
  },
  {
    iotest: '112',
    case: 'the highest refcount of 64 bits is reported as a leak',
    test: REFCOUNTS,
    name: 'of 2^64 - 1 is a leak like any other, for QEMU and for us',
  },
  { iotest: '112', case: 'no snapshot is taken at the highest refcount', why: NO_SNAPSHOTS },
  { iotest: '112', case: 'the refcount width of an image is changed, with and without snapshots', why: NO_AMEND },
  {
    iotest: '112',
    case: 'a cluster with more references than its refcount can say is found and repaired',
    test: DAMAGES,
    name: 'a refcount of one bit, two references',
  },
  { iotest: '112', case: 'a change of the refcount width needs more than the usual passes', why: NO_AMEND },
  {
    iotest: '138',
    case: 'a data cluster at 2^55 with clusters of 512 bytes is counted without truncating its number',
    test: REFCOUNTS,
    name: 'a data cluster at 2^55 with clusters of 512 bytes, a multiple of 2^32 of them, is past the end',
  },
  {
    iotest: '261',
    case: 'snapshots of version 2 may have no, unknown, or half of the known extra data',
    test: SNAPSHOT_TABLES,
    name: 'may be missing, short or unknown in version 2',
  },
  { iotest: '261', case: 'the change to version 3 completes extra data', why: NO_AMEND },
  {
    iotest: '261',
    case: 'a repair completes extra data in version 3, and keeps unknown ones',
    test: SNAPSHOT_TABLES,
    name: 'are completed in version 3, and unknown ones kept',
  },
  { iotest: '261', case: 'a snapshot is added to such a table, and others keep their extra data', why: NO_SNAPSHOTS },
  {
    iotest: '261',
    case: 'each snapshot of such a table is removed, and the others keep their extra data',
    test: SNAPSHOT_TABLES,
    name: 'stay with the others when snapshot %s is dropped',
  },
  {
    iotest: '261',
    case: 'extra data of 64 KiB are refused, and repaired together with refcounts',
    test: SNAPSHOT_TABLES,
    name: 'of 64 KiB are refused, also where the next cluster is something else, and repaired',
  },
  {
    iotest: '261',
    case: 'a snapshot table of more than 64 MiB is refused, and repaired with all but one snapshot',
    test: SNAPSHOT_TABLES,
    name: 'of more than 64 MiB is refused, and repaired: all but its last snapshot are kept',
  },
  {
    iotest: '261',
    case: 'such a table with an entry of too much extra data is refused, and repaired',
    test: SNAPSHOT_TABLES,
    name: 'of more than 64 MiB with an entry of too much extra data is refused, and repaired',
  },
  {
    iotest: '261',
    case: 'more than 65,536 snapshots are refused, and repaired: the first 65,536 are kept',
    test: SNAPSHOT_TABLES,
    name: 'of twice as many snapshots as there may be is refused, and the first 65,536 are kept',
  },
];
