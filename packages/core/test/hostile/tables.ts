/**
 * Owns the breakages of the tables behind the header: refcounts, snapshots' L1 tables, bitmaps, and where the file
 * ends.
 */
import { get, put } from '../support/big-endian.js';
import type { BuiltImage } from '../support/image-builder.js';
import { type Breakage, field } from './fields.js';
import { structuresOf } from './structures.js';

const U64 = 0xffff_ffff_ffff_ffffn;
const SIGN64 = 1n << 63n;
const TOO_FAR = 1n << 56n;

/** Values of a pointer that may lead anywhere. */
function pointers(image: BuiltImage, at: number): bigint[] {
  const sound = get(image.bytes, at, 8);
  const size = BigInt(image.clusterSize);
  const end = BigInt(image.bytes.length);
  return [
    0n,
    1n,
    sound + 8n,
    sound + size / 2n,
    sound | 1n,
    sound | SIGN64,
    size,
    BigInt(image.l1),
    end,
    end + size,
    TOO_FAR,
    TOO_FAR - size,
    U64,
  ];
}

/** The refcount table and its first block. Nothing of it is needed to read, and no reader may mind. */
export function refcounts(image: BuiltImage): Breakage[] {
  const block = image.refcountBlocks[0]!;
  return [
    ...field('refcount table entry 0', image.refcountTable, 8, { same: pointers(image, image.refcountTable) }),
    ...field('refcount table entry 1', image.refcountTable + 8, 8, { same: pointers(image, image.refcountTable) }),
    ...[0, 1, 2, 5].flatMap((cluster) =>
      field(`refcount of cluster ${cluster}`, block + cluster * 2, 2, { same: [0, 1, 2, 0x7fff, 0x8000, 0xffff] }),
    ),
    ...field('the refcounts of four clusters', block + 8, 8, { same: [0, U64] }),
  ];
}

/** The L1 table of the first snapshot: the active disk does not need it. */
export function snapshotL1(image: BuiltImage): Breakage[] {
  const at = Number(get(image.bytes, image.snapshotTable, 8));
  return field('L1 entry of a snapshot', at, 8, { same: pointers(image, at) });
}

/** The directory and the table of the only bitmap. The guest sees both, so what is read differs. */
export function bitmapTables(image: BuiltImage): Breakage[] {
  const directory = Number(get(image.bytes, image.extensions[1]! + 24, 8));
  const table = Number(get(image.bytes, directory, 8));
  const lengths = [0, 1, 7, 1024, 0x8000, 0xffff];
  return [
    ...field('bitmap_table_offset', directory, 8, { answered: pointers(image, directory) }),
    ...field('bitmap_table_size', directory + 8, 4, {
      answered: [0, 2, 512, 131_072, 131_073, 0x8000_0000, 0xffff_ffff],
    }),
    ...field('flags of a bitmap', directory + 12, 4, { answered: [0, 1, 3, 4, 8, 0x8000_0000, 0xffff_ffff] }),
    ...field('type of a bitmap', directory + 16, 1, { refused: [0, 2, 255] }),
    ...field('granularity_bits', directory + 17, 1, { refused: [0, 1, 8, 32, 63, 64, 255], answered: [9, 31] }),
    ...field('name_size of a bitmap', directory + 18, 2, {
      refused: lengths.filter((length) => length === 0 || length > 8),
      answered: [1, 7],
    }),
    ...field('extra_data_size of a bitmap', directory + 20, 4, {
      refused: [8, 32, 0x8000_0000, 0xffff_ffff],
      answered: [1, 4],
    }),
    ...field('bitmap table entry', table, 8, { answered: pointers(image, table) }),
  ];
}

/** A pointer to an encryption header in place of the unknown extension; the disk is not said to be encrypted. */
export function cryptoHeader(image: BuiltImage): Breakage[] {
  const at = image.extensions[2]!;
  return [0n, 1n, 512n, BigInt(image.bytes.length), TOO_FAR, U64].flatMap((value) =>
    ([4, 8] as const).flatMap((field) =>
      [15, 16, 17].map((length) => ({
        field: `encryption header ${field === 4 ? 'offset' : 'length'} in an extension of ${length} bytes,`,
        value,
        verdict: 'answered' as const,
        apply: (file: Uint8Array) => {
          put(file, at, 4, 0x0537be77);
          put(file, at + 4, 4, length);
          put(file, at + 8 + (field - 4) * 2, 8, value);
        },
      })),
    ),
  );
}

/** Lengths at which the file may end: at the start, in the middle and before the last byte of each structure. */
export function cuts(image: BuiltImage): number[] {
  const lengths = structuresOf(image.bytes).flatMap(({ at, length }) => [
    at,
    at + 1,
    at + Math.floor(length / 2),
    at + length - 1,
    at + length,
  ]);
  return [...new Set(lengths)].filter((length) => length < image.bytes.length).sort((a, b) => a - b);
}
