/**
 * Owns the list of the rules and limits of what opening reads, each with an image that breaks just it, and what must be
 * said of it.
 */
import type { Qcow2ErrorCode } from '../../src/errors.js';
import { get, put } from '../support/big-endian.js';
import type { BuiltImage } from '../support/image-builder.js';
import { oldImage, overlayImage, plainImage, richImage } from './bases.js';
import type { Operation } from './operation.js';

/** A rule, broken. */
export interface BrokenRule {
  /** The rule in a few words. */
  readonly rule: string;
  readonly file: () => Uint8Array;
  /** What is asked of the image, and refused. */
  readonly operation: Operation;
  readonly code: Qcow2ErrorCode;
  /** The structure that `details` must name, and its offset in the file. */
  readonly what: string;
  readonly at: number;
}

/** What must be said of a broken rule. */
export type Expectation = Omit<BrokenRule, 'rule' | 'file'>;

/** The rule that holds one number of `image`, which is replaced. */
export function changed(
  rule: string,
  image: BuiltImage,
  [place, width, value]: readonly [number, 1 | 2 | 4 | 8, number | bigint],
  expectation: Expectation,
): BrokenRule {
  const file = (): Uint8Array => {
    const bytes = image.bytes.slice();
    put(bytes, place, width, value);
    return bytes;
  };
  return { rule, file, ...expectation };
}

const rich = richImage();
const plain = plainImage();
const old = oldImage();
const overlay = overlayImage();
const end = rich.bytes.length;
const TOO_FAR = 1n << 56n;

const opening = (code: Qcow2ErrorCode, what: string, at: number): Expectation => ({
  operation: 'open',
  code,
  what,
  at,
});

/** Rules of the header's fields. */
export const headerRules: readonly BrokenRule[] = [
  { rule: 'the header is whole', file: () => plain.bytes.slice(0, 90), ...opening('corrupt', 'header', 0) },
  changed('version 2 or 3', plain, [4, 4, 4], opening('unsupported', 'version', 4)),
  changed(
    'backing_file_offset within the first cluster',
    overlay,
    [8, 8, 4097],
    opening('corrupt', 'backing_file_offset', 8),
  ),
  changed('a backing name of 1023 bytes', overlay, [16, 4, 1024], opening('corrupt', 'backing_file_size', 16)),
  changed(
    'a backing name within the first cluster',
    overlay,
    [8, 8, 4090],
    opening('corrupt', 'backing_file_size', 16),
  ),
  changed('cluster_bits of 9 at least', plain, [20, 4, 8], opening('corrupt', 'cluster_bits', 20)),
  changed('cluster_bits of 21 at most', plain, [20, 4, 22], opening('unsupported', 'cluster_bits', 20)),
  changed('cluster_bits of 14 at least with extended L2', plain, [72, 8, 16], opening('corrupt', 'cluster_bits', 20)),
  changed('a disk of less than 2^53 bytes', plain, [24, 8, 1n << 53n], opening('unsupported', 'size', 24)),
  changed('crypt_method 0 to 2', plain, [32, 4, 3], opening('unsupported', 'crypt_method', 32)),
  changed('an L1 table of 4,194,304 entries', plain, [36, 4, 0x40_0001], opening('unsupported', 'l1_size', 36)),
  changed('an L1 table that covers the disk', old, [36, 4, 1], opening('corrupt', 'l1_size', 36)),
  changed('an L1 table at a cluster', plain, [40, 8, plain.l1 + 512], opening('corrupt', 'l1_table_offset', 40)),
  changed('an L1 table below 2^56', plain, [40, 8, TOO_FAR], opening('corrupt', 'l1_table_offset', 40)),
  changed('an L1 table below 2^53', plain, [40, 8, 1n << 53n], opening('unsupported', 'l1_table_offset', 40)),
  changed('an L1 table within the file', plain, [40, 8, 1 << 20], opening('corrupt', 'L1 table', 1 << 20)),
  changed(
    'a refcount table at a cluster',
    plain,
    [48, 8, plain.refcountTable + 8],
    opening('corrupt', 'refcount_table_offset', 48),
  ),
  changed('a refcount table below 2^56', plain, [48, 8, TOO_FAR], opening('corrupt', 'refcount_table_offset', 48)),
  changed('a refcount table', plain, [56, 4, 0], opening('corrupt', 'refcount_table_clusters', 56)),
  changed('a refcount table of 8 MiB', plain, [56, 4, 2049], opening('unsupported', 'refcount_table_clusters', 56)),
  changed('65,536 snapshots', rich, [60, 4, 65_537], opening('unsupported', 'nb_snapshots', 60)),
  changed(
    'a snapshot table at a cluster',
    rich,
    [64, 8, rich.snapshotTable + 8],
    opening('corrupt', 'snapshots_offset', 64),
  ),
  changed('a snapshot table below 2^56', rich, [64, 8, TOO_FAR], opening('corrupt', 'snapshots_offset', 64)),
  changed(
    'a snapshot table at a cluster, also without snapshots',
    plain,
    [64, 8, plain.l1 + 8],
    opening('corrupt', 'snapshots_offset', 64),
  ),
  changed('an L1 table that covers the disk, with snapshots', rich, [36, 4, 0], opening('corrupt', 'l1_size', 36)),
  changed('known incompatible features', plain, [72, 8, 32], opening('unsupported', 'incompatible_features', 72)),
  changed('a raw data file only with a data file', plain, [88, 8, 2], opening('corrupt', 'autoclear_features', 88)),
  changed('refcounts of 64 bits', plain, [96, 4, 7], opening('corrupt', 'refcount_order', 96)),
  changed('a header of 104 bytes', plain, [100, 4, 103], opening('corrupt', 'header_length', 100)),
  changed('a header within a cluster', plain, [100, 4, 4097], opening('corrupt', 'header_length', 100)),
  changed('compression 0 or 1', plain, [104, 1, 2], opening('unsupported', 'compression_type', 104)),
  changed('the compression bit with a type', plain, [104, 1, 1], opening('corrupt', 'compression_type', 104)),
  changed('the compression bit without a type', plain, [72, 8, 8], opening('corrupt', 'compression_type', 104)),
  {
    rule: '128 GiB at clusters of 512 bytes',
    file: () => {
      const bytes = old.bytes.slice();
      put(bytes, 24, 8, 2 ** 37 + 512);
      put(bytes, 36, 4, 0x40_0001);
      return bytes;
    },
    ...opening('unsupported', 'l1_size', 36),
  },
];

/** Of the bitmaps extension, the directory, and the only bitmap's table. */
const marks = rich.extensions[1]! + 8;
const directory = Number(get(rich.bytes, marks + 16, 8));
const table = Number(get(rich.bytes, directory, 8));
const listing = (code: Qcow2ErrorCode, what: string, at: number): Expectation => ({
  operation: 'dirty',
  code,
  what,
  at,
});

/** Rules of the extensions, and of the bitmaps that one of them leads to. */
export const extensionRules: readonly BrokenRule[] = [
  changed(
    'an extension within its area',
    rich,
    [rich.extensions[2]! + 4, 4, 4096],
    opening('corrupt', 'header extension', rich.extensions[2]!),
  ),
  changed(
    'a format name of 15 bytes',
    overlay,
    [overlay.extensions[0]! + 4, 4, 16],
    opening('corrupt', 'backing format name', overlay.extensions[0]! + 8),
  ),
  changed('a bitmaps extension of 24 bytes', rich, [marks - 4, 4, 23], opening('corrupt', 'bitmaps extension', marks)),
  changed('a reserved field of zeros', rich, [marks + 4, 4, 1], opening('corrupt', 'bitmaps extension', marks)),
  changed('at least one bitmap', rich, [marks, 4, 0], opening('corrupt', 'nb_bitmaps', marks)),
  changed('65,535 bitmaps', rich, [marks, 4, 65_536], opening('unsupported', 'nb_bitmaps', marks)),
  changed(
    'a directory of 1024 bytes for each of them',
    rich,
    [marks + 8, 8, 1024 * 65_535 + 1],
    opening('unsupported', 'bitmap_directory_size', marks + 8),
  ),
  changed(
    'a directory within the file',
    rich,
    [marks + 8, 8, end],
    opening('corrupt', 'bitmap_directory_size', marks + 8),
  ),
  changed(
    'a directory at a cluster',
    rich,
    [marks + 16, 8, directory + 8],
    opening('corrupt', 'bitmap_directory_offset', marks + 16),
  ),
  changed('as many bitmaps as nb_bitmaps', rich, [marks, 4, 2], opening('corrupt', 'bitmap directory', directory)),
  changed('whole entries of the directory', rich, [marks + 8, 8, 40], opening('corrupt', 'bitmap 1', directory + 32)),
  changed('an entry within the directory', rich, [directory + 20, 4, 64], opening('corrupt', 'bitmap 0', directory)),
  changed('a bitmap of type 1', rich, [directory + 16, 1, 2], opening('corrupt', 'bitmap 0', directory)),
  changed('granularity bits of 9 at least', rich, [directory + 17, 1, 8], opening('corrupt', 'bitmap 0', directory)),
  changed('granularity bits of 31 at most', rich, [directory + 17, 1, 32], opening('corrupt', 'bitmap 0', directory)),
  changed('a name', rich, [directory + 18, 2, 0], opening('corrupt', 'bitmap 0', directory)),
  changed('a bitmap that was saved', rich, [directory + 12, 4, 3], listing('corrupt', 'bitmap "mark"', table)),
  changed(
    'a bitmap table at a cluster',
    rich,
    [directory, 8, table + 8],
    listing('corrupt', 'bitmap "mark"', table + 8),
  ),
  changed(
    'a bitmap table within the file',
    rich,
    [directory, 8, 1 << 20],
    listing('corrupt', 'bitmap "mark"', 1 << 20),
  ),
  changed(
    'a bitmap table that covers the disk',
    rich,
    [directory + 8, 4, 0],
    listing('corrupt', 'bitmap "mark"', table),
  ),
  changed('512 MiB of bits', rich, [directory + 8, 4, 131_073], listing('unsupported', 'bitmap "mark"', table)),
  changed('bits at a cluster', rich, [table, 8, 512], listing('corrupt', 'table of bitmap "mark"', table)),
  changed(
    'all-ones only without an offset',
    rich,
    [table, 8, 4097],
    listing('corrupt', 'table of bitmap "mark"', table),
  ),
  changed(
    'no reserved bits in a bitmap table',
    rich,
    [table, 8, 2],
    listing('corrupt', 'table of bitmap "mark"', table),
  ),
  changed('bits within the file', rich, [table, 8, 1 << 20], listing('corrupt', 'data of bitmap "mark"', 1 << 20)),
];

const first = rich.snapshotTable;
const second = first + 64;
const openingSnapshot = (code: Qcow2ErrorCode, what: string, at: number): Expectation => ({
  operation: 'snapshot',
  code,
  what,
  at,
});
const snapshotL1 = Number(get(rich.bytes, first, 8));
const ofOne = 'L1 table of snapshot "one"';

/** Rules of the snapshot table, and of the L1 tables that it names. */
export const snapshotRules: readonly BrokenRule[] = [
  changed('extra data of 1024 bytes', rich, [first + 36, 4, 1025], opening('corrupt', 'snapshot 0', first)),
  changed(
    'extra data of 1024 bytes, of the second',
    rich,
    [second + 36, 4, 1025],
    opening('corrupt', 'snapshot 1', second),
  ),
  changed('a snapshot table within the file', rich, [60, 4, 60_000], opening('corrupt', 'snapshot table', first)),
  changed(
    "a snapshot's L1 table of 4,194,304 entries",
    rich,
    [first + 8, 4, 0x40_0001],
    openingSnapshot('unsupported', ofOne, snapshotL1),
  ),
  changed(
    "a snapshot's L1 table at a cluster",
    rich,
    [first, 8, snapshotL1 + 8],
    openingSnapshot('corrupt', ofOne, snapshotL1 + 8),
  ),
  changed(
    "a snapshot's L1 table within the file",
    rich,
    [first, 8, 1 << 20],
    openingSnapshot('corrupt', ofOne, 1 << 20),
  ),
  changed(
    "a snapshot's disk that an L1 table can map",
    rich,
    [first + 48, 8, 1n << 52n],
    openingSnapshot('corrupt', ofOne, snapshotL1),
  ),
  changed(
    "a snapshot's L2 table at a cluster",
    rich,
    [snapshotL1, 8, get(rich.bytes, snapshotL1, 8) + 512n],
    openingSnapshot('corrupt', 'L2 table 0', Number(get(rich.bytes, snapshotL1, 8)) + 512),
  ),
];
