/** Owns the list of single broken fields: which, with which values, and what must come of it. */
import { get, put } from '../support/big-endian.js';
import type { BuiltImage } from '../support/image-builder.js';

/**
 * What must come of a broken field. `same`: it reads as before. `refused`: open fails. `unreadable`: it may open, but
 * reading fails. `answered`: a typed error or a read, since the value is legal or the field is not needed for reading.
 */
export type Verdict = 'same' | 'refused' | 'unreadable' | 'answered';

export interface Breakage {
  /** The field, in the specification's words. */
  readonly field: string;
  readonly value: bigint;
  readonly verdict: Verdict;
  readonly apply: (file: Uint8Array) => void;
}

type Width = 1 | 2 | 4 | 8;

const U32 = 0xffff_ffffn;
const U64 = 0xffff_ffff_ffff_ffffn;
const SIGN32 = 1n << 31n;
const SIGN64 = 1n << 63n;
/** Where no host offset can be. */
const TOO_FAR = 1n << 56n;

/** One field with several values, each with its verdict. */
export function field(
  name: string,
  at: number,
  width: Width,
  values: Partial<Record<Verdict, readonly (number | bigint)[]>>,
): Breakage[] {
  return (Object.entries(values) as [Verdict, readonly (number | bigint)[]][]).flatMap(([verdict, list]) =>
    list.map((value) => ({
      field: name,
      value: BigInt(value),
      verdict,
      apply: (file) => put(file, at, width, value),
    })),
  );
}

/** Every single bit of a field. */
const bits = (from: number, to: number): bigint[] =>
  Array.from({ length: to - from + 1 }, (_, i) => 1n << BigInt(from + i));

/** The fields that versions 2 and 3 share. */
export function commonHeader(image: BuiltImage): Breakage[] {
  const { clusterSize, bytes } = image;
  const snapshots = get(bytes, 60, 4);
  return [
    ...field('magic', 0, 4, { refused: [0, 0x514649fa, 0xfb494651] }),
    ...field('version', 4, 4, { refused: [0, 1, 4, SIGN32, U32], answered: [2, 3] }),
    ...field('backing_file_offset', 8, 8, {
      refused: [clusterSize + 1, SIGN64, U64, TOO_FAR],
      answered: [1, 72, 104, clusterSize - 1, clusterSize],
    }),
    ...field('backing_file_size without an offset', 16, 4, { same: [1, 1023, 1024, SIGN32, U32] }),
    ...field('cluster_bits', 20, 4, { refused: [0, 1, 8, 22, 31, 32, 63, 64, SIGN32, U32], answered: [9, 10, 20, 21] }),
    ...field('size', 24, 8, {
      refused: [SIGN64, SIGN64 - 1n, U64, 1n << 53n, BigInt(image.l1Entries * clusterSize * (clusterSize / 8)) + 512n],
      answered: [0, 1, 511, 512, clusterSize + 1],
    }),
    ...field('crypt_method', 32, 4, { refused: [3, SIGN32, U32], answered: [1, 2] }),
    ...field('l1_size', 36, 4, {
      refused: [0, image.l1Entries - 1, bytes.length, 0x40_0000, 0x40_0001, 1n << 29n, SIGN32, U32],
      same: [image.l1Entries + 1],
    }),
    ...field('l1_table_offset', 40, 8, {
      refused: [image.l1 + 1, image.l1 + 8, image.l1 + clusterSize / 2, bytes.length, TOO_FAR, SIGN64, U64],
      answered: [0, clusterSize],
    }),
    ...field('refcount_table_offset', 48, 8, {
      refused: [image.refcountTable + 1, image.refcountTable + 8, TOO_FAR, SIGN64, U64],
    }),
    ...field('refcount_table_clusters', 56, 4, { refused: [0, (8 * 1024 * 1024) / clusterSize + 1, SIGN32, U32] }),
    ...field('nb_snapshots', 60, 4, { refused: [65_537, SIGN32, U32], answered: [0, snapshots + 1n, 65_536] }),
    ...field('snapshots_offset', 64, 8, {
      refused: [1, 8, TOO_FAR, SIGN64, U64],
      answered: [clusterSize, bytes.length],
    }),
  ];
}

/** The fields that version 3 adds. */
export function versionThreeHeader(image: BuiltImage): Breakage[] {
  const compatible = get(image.bytes, 80, 8);
  const autoclear = get(image.bytes, 88, 8);
  return [
    ...field('incompatible_features', 72, 8, {
      same: bits(0, 1),
      refused: [...bits(3, 63), U64],
      unreadable: bits(2, 2),
    }),
    ...field('compatible_features', 80, 8, { same: [...bits(0, 63), U64, compatible] }),
    ...field('autoclear_features', 88, 8, {
      same: [0, ...bits(2, 63).map((bit) => bit | autoclear)],
      refused: [2, U64],
    }),
    ...field('refcount_order', 96, 4, { same: [0, 1, 2, 3, 4, 5, 6], refused: [7, 32, SIGN32, U32] }),
    ...field('header_length', 100, 4, {
      refused: [0, 1, 72, 103, image.clusterSize + 1, image.clusterSize + 8, SIGN32, U32],
      answered: [104, 105, 111, 120, image.clusterSize],
    }),
    ...field('compression_type', 104, 1, { refused: [1, 2, 127, 128, 255] }),
  ];
}

/** Types and lengths of the extensions. */
export function extensions(image: BuiltImage): Breakage[] {
  const room = (at: number): bigint => BigInt(image.clusterSize - at - 8);
  return image.extensions.flatMap((at, index) => [
    ...field(`length of extension ${index}`, at + 4, 4, {
      refused: [room(at) + 1n, image.clusterSize, SIGN32, SIGN32 - 1n, U32, U32 - 7n],
      answered: [0, 1, 7, 8, 47, 48, 49],
    }),
    ...field(`type of extension ${index}`, at, 4, {
      answered: [0, 1, 0xe2792aca, 0x6803f857, 0x23852875, 0x0537be77, 0x44415441, U32],
    }),
  ]);
}

/** The bitmaps extension: the second one of the rich image. */
export function bitmapsExtension(image: BuiltImage): Breakage[] {
  const data = image.extensions[1]! + 8;
  return [
    ...field('length of the bitmaps extension', data - 4, 4, { refused: [23, 25, 16, 32] }),
    ...field('nb_bitmaps', data, 4, { refused: [0, 2, 65_535, 65_536, SIGN32, U32] }),
    ...field('reserved field of the bitmaps extension', data + 4, 4, { refused: [1, SIGN32] }),
    ...field('bitmap_directory_size', data + 8, 8, {
      refused: [0, 31, 33, 1024 * 65_535 + 1, 1n << 32n, SIGN64, U64],
    }),
    ...field('bitmap_directory_offset', data + 16, 8, { refused: [1, 8, 1n << 40n, TOO_FAR, SIGN64, U64] }),
  ];
}

/** The snapshot table's entries. None of it is needed to read the disk. */
export function snapshotTable(image: BuiltImage): Breakage[] {
  const at = image.snapshotTable;
  return [
    ...field('l1_table_offset of a snapshot', at, 8, { answered: [0, 1, image.bytes.length, TOO_FAR, SIGN64, U64] }),
    ...field('l1_size of a snapshot', at + 8, 4, { answered: [0, 0x40_0000, 0x40_0001, SIGN32, U32] }),
    ...field('id length', at + 12, 2, { answered: [0, 1, 0x7fff, 0x8000, 0xffff] }),
    ...field('name length', at + 14, 2, { answered: [0, 1, 0x7fff, 0x8000, 0xffff] }),
    ...field('date', at + 16, 8, { same: [0, SIGN64, U64] }),
    ...field('vm clock', at + 24, 8, { same: [0, SIGN64, U64] }),
    ...field('vm state size', at + 32, 4, { same: [0, SIGN32, U32] }),
    ...field('extra data size', at + 36, 4, { refused: [1025, SIGN32, U32], answered: [0, 1, 8, 15, 17, 1024] }),
    ...field('disk size of a snapshot', at + 48, 8, { answered: [0, 1, SIGN64, U64] }),
  ];
}

/** L1 entries. Reserved bits are damage that `check` reports; QEMU reads on, and so may we. */
export function l1Entries(image: BuiltImage): Breakage[] {
  const entry = get(image.bytes, image.l1, 8);
  return field('L1 entry', image.l1, 8, {
    unreadable: [entry + 512n, entry + BigInt(image.clusterSize / 2)].filter(() => image.clusterSize > 512),
    answered: [
      ...[1n, 2n, 256n, 1n << 56n, 1n << 62n].map((bit) => entry | bit),
      ...[
        BigInt(image.bytes.length),
        TOO_FAR - BigInt(image.clusterSize),
        0n,
        U64,
        SIGN64,
        BigInt(image.l1),
        BigInt(image.clusterSize),
      ],
    ],
    same: [entry & ~SIGN64, entry | SIGN64],
  });
}

/** The L2 entry of guest cluster 0, which holds plain data, and of cluster 7, which is compressed. */
export function l2Entries(image: BuiltImage): Breakage[] {
  const plainAt = image.entryAt(0);
  const plain = get(image.bytes, plainAt, 8);
  const packedAt = image.entryAt(7);
  const packed = get(image.bytes, packedAt, 8);
  const offsetBits = BigInt(62 - (Math.log2(image.clusterSize) - 8));
  const offsetMask = (1n << offsetBits) - 1n;
  return [
    ...field('L2 entry of data', plainAt, 8, {
      unreadable: [plain + 512n, plain + BigInt(image.clusterSize / 2)].filter(() => image.clusterSize > 512),
      same: [plain & ~SIGN64, plain | SIGN64],
      answered: [
        ...[1n, 2n, 256n, 1n << 56n, 1n << 61n, 1n << 62n].map((bit) => plain | bit),
        ...[
          0n,
          U64,
          SIGN64,
          BigInt(image.bytes.length),
          BigInt(image.bytes.length - image.clusterSize),
          TOO_FAR - BigInt(image.clusterSize),
        ],
      ],
    }),
    ...field('L2 entry of a compressed cluster', packedAt, 8, {
      unreadable: [
        (packed & ~offsetMask) | BigInt(image.bytes.length + 512), // past the end
        (packed & ~offsetMask) | offsetMask, // as far as an offset can be
        (packed & ~offsetMask) | BigInt(image.bytes.length - 1),
        packed + 1n, // the middle of the stream
        (1n << 62n) | BigInt(image.l1), // a table is no stream
      ],
      same: [packed | SIGN64],
      answered: [packed | (((1n << 62n) - 1n) & ~offsetMask), packed & ~(1n << 62n), packed - 1n, U64, 1n << 62n],
    }),
  ];
}

/** The subcluster bitmap of guest cluster 1, which has some of each kind. */
export function subclusterBitmaps(image: BuiltImage): Breakage[] {
  const at = image.entryAt(1);
  const withoutHost = field('L2 entry without an offset but with allocated subclusters', at, 8, {
    unreadable: [0, SIGN64],
  });
  return [
    ...field('subcluster bitmap', at + 8, 8, {
      unreadable: [(1n << 32n) | 1n, U64, SIGN64 | SIGN32, (0xffn << 32n) | 0xffn],
      answered: [0, 1, U32, U32 << 32n, SIGN64, SIGN32],
    }),
    ...withoutHost,
    ...field('first word of an extended entry, bit 0', image.entryAt(0) + 7, 1, { same: [1] }),
  ];
}
