/**
 * Owns the host side of an image under construction: which clusters are taken, what lies in them, how often each is
 * referenced.
 */
import { put } from './big-endian.js';

/** The file while it is laid out: pieces at offsets, and how often each cluster is referenced. */
export class Layout {
  readonly clusterSize: number;
  readonly references: number[] = [];
  private readonly pieces: { at: number; bytes: Uint8Array }[] = [];

  constructor(clusterSize: number) {
    this.clusterSize = clusterSize;
  }

  /** Number of clusters laid out so far. */
  get end(): number {
    return this.references.length;
  }

  /** Sets clusters aside for `length` bytes, each referenced once, and answers their offset. */
  take(length: number): number {
    const at = this.end * this.clusterSize;
    for (let i = 0; i < Math.ceil(length / this.clusterSize); i++) this.references.push(1);
    return at;
  }

  /** Leaves clusters free. */
  skip(clusters: number): void {
    for (let i = 0; i < clusters; i++) this.references.push(0);
  }

  place(at: number, bytes: Uint8Array): void {
    this.pieces.push({ at, bytes });
  }

  /** Adds references to every cluster that `[at, at + length)` touches. */
  refer(at: number, length: number, times: number): void {
    const last = Math.floor((at + length - 1) / this.clusterSize);
    for (let i = Math.floor(at / this.clusterSize); i <= last; i++) this.references[i]! += times;
  }

  render(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.end * this.clusterSize);
    for (const piece of this.pieces) bytes.set(piece.bytes, piece.at);
    return bytes;
  }
}

/**
 * Refcount blocks that cover everything, themselves and their table too; `place` is where that lies already, in one
 * cluster.
 */
export function layRefcounts(
  layout: Layout,
  order: number,
  place: number | null,
): { table: number; clusters: number; blocks: number[] } {
  const bits = 1 << order;
  const perBlock = (layout.clusterSize * 8) / bits;
  let blockCount = 1;
  let clusters = 1;
  while (blockCount * perBlock < layout.end + (place === null ? clusters : 0) + blockCount) {
    blockCount++;
    clusters = Math.ceil((blockCount * 8) / layout.clusterSize);
  }
  if (place !== null && clusters > 1)
    throw new RangeError('the refcount table takes more than the cluster it was given');
  const table = place ?? layout.take(clusters * layout.clusterSize);
  const blocks = Array.from({ length: blockCount }, () => layout.take(layout.clusterSize));
  const pointers = new Uint8Array(blockCount * 8);
  blocks.forEach((block, index) => {
    put(pointers, index * 8, 8, block);
    const counts = layout.references.slice(index * perBlock, (index + 1) * perBlock);
    layout.place(block, refcountBytes(counts, bits, layout.clusterSize));
  });
  layout.place(table, pointers);
  return { table, clusters, blocks };
}

function refcountBytes(counts: readonly number[], bits: number, clusterSize: number): Uint8Array {
  const bytes = new Uint8Array(clusterSize);
  counts.forEach((count, index) => {
    if (count >= 2 ** bits) throw new RangeError(`a refcount of ${count} does not fit ${bits} bits`);
    if (bits >= 8) put(bytes, index * (bits / 8), (bits / 8) as 1 | 2 | 4 | 8, count);
    else bytes[(index * bits) >> 3]! |= count << ((index * bits) & 7); // packed from the least significant bit
  });
  return bytes;
}
