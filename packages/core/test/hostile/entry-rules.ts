/**
 * Owns the list of the rules of entries and clusters, each with an image that breaks just it, and what must be said of
 * it.
 */
import { deflateRawSync } from 'node:zlib';
import type { Qcow2ErrorCode } from '../../src/errors.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, type ImagePlan } from '../support/image-builder.js';
import { frame } from '../support/zstd-frame.js';
import { extendedImage, oldImage, pattern, plainImage, richImage } from './bases.js';
import { type BrokenRule, changed, type Expectation } from './rules.js';

const rich = richImage();
const plain = plainImage();
const old = oldImage();
const extended = extendedImage();
const reading = (what: string, at: number): Expectation => ({ operation: 'read', code: 'corrupt', what, at });
const mapping = (what: string, at: number): Expectation => ({ operation: 'map', code: 'corrupt', what, at });
const l2 = plain.entryAt(0);
const data = get(plain.bytes, l2, 8);
const sub = extended.entryAt(1);
const past = 1 << 20;

/** An image of three clusters of 4 KiB, the second as given. */
function around(cell: Cell, plan: Partial<ImagePlan> = {}): BuiltImage {
  return buildImage({ clusterBits: 12, size: 3 * 4096, clusters: new Map([[1, cell]]), ...plan });
}

/** The rule that a stream gives exactly one cluster, broken by `payload`. */
function stream(rule: string, payload: Uint8Array, plan: Partial<ImagePlan> = {}): BrokenRule {
  const image = around({ kind: 'compressed', payload }, plan);
  const at = Number(get(image.bytes, image.entryAt(1), 8) & ((1n << 58n) - 1n));
  return { rule, file: () => image.bytes, ...reading('compressed cluster', at) };
}

const raw = (length: number): Uint8Array => frame({ blocks: [{ kind: 'raw', bytes: pattern(length, 3) }] });
const zstd = { compressionType: 1 } as const;
const external = around({ kind: 'data', bytes: pattern(4096, 1) }, { incompatible: 4n });
const packedOutside = around({ kind: 'compressed', payload: raw(9) }, { incompatible: 4n });

/** Rules of L1 and L2 entries, and of the clusters that they lead to. */
export const mappingRules: readonly BrokenRule[] = [
  changed(
    'an L2 table at a cluster',
    plain,
    [plain.l1, 8, get(plain.bytes, plain.l1, 8) + 512n],
    reading('L2 table 0', l2 + 512),
  ),
  changed('an L2 table within the file', plain, [plain.l1, 8, past], reading('L2 table 0', past)),
  changed('data at a cluster', plain, [l2, 8, data + 512n], reading('L2 entry', l2)),
  changed('data at a cluster, of the third', plain, [l2 + 16, 8, data + 512n], mapping('L2 entry', l2 + 16)),
  changed('data within the file', plain, [l2, 8, past], reading('data cluster', past)),
  changed(
    'no zero flag in version 2',
    old,
    [old.entryAt(70), 8, get(old.bytes, old.entryAt(70), 8) | 1n],
    reading('L2 entry', old.entryAt(70)),
  ),
  changed(
    'a compressed cluster within the file',
    plain,
    [plain.entryAt(7), 8, (1n << 62n) | BigInt(past)],
    reading('compressed cluster', past),
  ),
  changed(
    'a compressed cluster below 2^53',
    plain,
    [plain.entryAt(7), 8, (1n << 62n) | (1n << 54n)],
    mapping('L2 entry', plain.entryAt(7)),
  ),
  changed(
    'subclusters not allocated and zero at once',
    extended,
    [sub + 8, 8, (1n << 32n) | 1n],
    reading('L2 entry', sub),
  ),
  changed('a cluster for allocated subclusters', extended, [sub, 8, 0], reading('L2 entry', sub)),
  changed(
    'a host offset that is the guest offset in a data file',
    external,
    [external.entryAt(1), 8, 8192],
    mapping('L2 entry', external.entryAt(1)),
  ),
  {
    rule: 'no compression with a data file',
    file: () => packedOutside.bytes,
    ...mapping('L2 entry', packedOutside.entryAt(1)),
  },
  stream('a deflate stream that is not cut', deflateRawSync(pattern(4096, 1)).subarray(0, 100)),
  stream('a deflate stream of a cluster, not a byte less', deflateRawSync(pattern(4095, 1))),
  stream('a deflate stream of a cluster, not a byte more', deflateRawSync(pattern(4097, 1))),
  stream('a zstd stream that is not cut', raw(4096).subarray(0, 100), zstd),
  stream('a zstd stream of a cluster, not a byte less', raw(4095).subarray(0), zstd),
  stream('a zstd stream of a cluster, not a byte more', raw(4097), zstd),
  stream('a zstd stream, not deflate', deflateRawSync(pattern(4096, 1)), zstd),
];

const block = plain.refcountBlocks[0]!;
const writing = (code: Qcow2ErrorCode, what: string, at: number): Expectation => ({
  operation: 'write',
  code,
  what,
  at,
});
const openingToWrite = (code: Qcow2ErrorCode, what: string, at: number): Expectation => ({
  operation: 'open to write',
  code,
  what,
  at,
});
const firstCluster = Number(data & 0x00ff_ffff_ffff_fe00n);

/** Rules that only a writer has to keep, since only it needs refcounts and must destroy nothing. */
export const writerRules: readonly BrokenRule[] = [
  changed('not dirty', plain, [72, 8, 1], openingToWrite('needs-repair', 'incompatible_features', 72)),
  changed('not corrupt', plain, [72, 8, 2], openingToWrite('needs-repair', 'incompatible_features', 72)),
  changed('a refcount table within the file', plain, [48, 8, past], openingToWrite('corrupt', 'refcount table', past)),
  changed(
    'a refcount block at a cluster',
    plain,
    [plain.refcountTable, 8, block + 512],
    openingToWrite('corrupt', 'refcount block 0', block + 512),
  ),
  changed(
    'a refcount block within the file',
    plain,
    [plain.refcountTable, 8, past],
    openingToWrite('corrupt', 'refcount block 0', past),
  ),
  changed(
    "snapshots' L1 tables within the file",
    rich,
    [rich.snapshotTable + 8, 4, 0x20_0000],
    openingToWrite('corrupt', 'L1 table of snapshot 0', Number(get(rich.bytes, rich.snapshotTable, 8))),
  ),
  changed(
    'no data in the L1 table',
    plain,
    [l2, 8, (1n << 63n) | BigInt(plain.l1)],
    writing('corrupt', 'L1 table', plain.l1),
  ),
  changed(
    'no data in the refcount table',
    plain,
    [l2, 8, (1n << 63n) | BigInt(plain.refcountTable)],
    writing('corrupt', 'refcount table', plain.refcountTable),
  ),
  changed(
    'written data within the file',
    plain,
    [l2, 8, (1n << 63n) | (1n << 54n)],
    writing('corrupt', 'L2 entry', l2),
  ),
  changed(
    'zeros that are written over within the file',
    plain,
    [l2, 8, (1n << 63n) | (1n << 54n) | 1n],
    writing('corrupt', 'L2 entry', l2),
  ),
  {
    rule: 'a refcount for each reference',
    file: () => {
      const bytes = plain.bytes.slice();
      for (const entry of [l2, l2 + 8]) put(bytes, entry, 8, data & ~(1n << 63n));
      return bytes;
    },
    ...writing('corrupt', 'refcount', firstCluster),
  },
];
