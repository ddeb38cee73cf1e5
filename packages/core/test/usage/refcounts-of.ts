/** Reads the refcounts of an image byte by byte, independently of the engine, for tests of what is used and free. */
import { get } from '../support/big-endian.js';

/** What the refcounts of a file say. */
export interface CountedFile {
  readonly clusterSize: number;
  /** The refcount of each cluster of the file. */
  readonly refcounts: readonly bigint[];
  /** Clusters in use besides the refcount structure and the snapshot table, which QEMU writes anew. */
  readonly inUse: number;
}

/** Bytes of the fixed part of a snapshot's entry, and of a header before its refcount order. */
const ENTRY_BYTES = 40;

/** The refcounts of an image. */
export function refcountsOf(bytes: Uint8Array): CountedFile {
  const number = (at: number, width: 1 | 2 | 4 | 8): number => Number(get(bytes, at, width));
  const clusterSize = 2 ** number(20, 4);
  const bits = number(4, 4) === 2 ? 16 : 2 ** number(96, 4);
  const perBlock = (clusterSize * 8) / bits;
  const table = number(48, 8);
  const tableClusters = number(56, 4);
  const clusters = Math.ceil(bytes.length / clusterSize);
  let blocks = 0;
  for (let index = 0; index * 8 < tableClusters * clusterSize; index++) if (number(table + index * 8, 8) > 0) blocks++;
  const refcounts = Array.from({ length: clusters }, (_, cluster) => {
    const block = number(table + Math.floor(cluster / perBlock) * 8, 8);
    return block === 0 ? 0n : bitsAt(bytes, block, (cluster % perBlock) * bits, bits);
  });
  const used = refcounts.filter((count) => count > 0n).length;
  return { clusterSize, refcounts, inUse: used - blocks - tableClusters - snapshotClusters(bytes, clusterSize) };
}

/** The number of `bits` bits at bit `at` of a block: packed from the lowest bit of each byte. */
function bitsAt(bytes: Uint8Array, block: number, at: number, bits: number): bigint {
  if (bits >= 8) return get(bytes, block + at / 8, (bits / 8) as 1 | 2 | 4 | 8);
  return (get(bytes, block + Math.floor(at / 8), 1) >> BigInt(at % 8)) & ((1n << BigInt(bits)) - 1n);
}

function snapshotClusters(bytes: Uint8Array, clusterSize: number): number {
  const start = Number(get(bytes, 64, 8));
  let at = start;
  for (let left = Number(get(bytes, 60, 4)); left > 0; left--) {
    const strings = Number(get(bytes, at + 12, 2)) + Number(get(bytes, at + 14, 2));
    at += Math.ceil((ENTRY_BYTES + Number(get(bytes, at + 36, 4)) + strings) / 8) * 8;
  }
  return Math.ceil((at - start) / clusterSize);
}
