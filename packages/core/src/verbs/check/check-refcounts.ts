/** Reads the refcount table and its blocks for a check, and does not rely on their contents. */

import type { Fault } from '../../api/check-report.js';
import { ClusterCounts, PAGE_MASK } from '../../engine/allocation/cluster-counts.js';
import { hex, viewOf } from '../../format/bytes.js';
import { getRefcountTableEntry } from '../../format/refcount-table.js';
import { getRefcount, refcountsPerBlock } from '../../format/refcounts.js';
import type { CheckContext } from './check-context.js';
import { readClusters } from './read-clusters.js';

/** QEMU reads nothing from here on, and zeros from the end of the file up to here. */
const MAX_OFFSET = 2 ** 63;

/** Bytes of a block that are read for a refcount past the end of the file, and kept for the next one. */
const PART_BYTES = 4096;

/** The refcounts of every cluster of the file. */
export class RefcountsOnDisk {
  readonly counts: ClusterCounts;
  readonly #context: CheckContext;
  readonly #table: DataView;
  readonly #perBlock: number;
  /** Blocks with an unaligned or impossible offset: their refcounts are unknown. */
  readonly #unreadable = new Set<number>();
  /** The part of a block that was read last for a refcount past the end of the file. */
  #part: { readonly at: number; readonly view: DataView } | null = null;

  private constructor(context: CheckContext, table: DataView) {
    this.#context = context;
    this.#table = table;
    this.#perBlock = refcountsPerBlock(context.geometry.clusterSize, context.header.refcountOrder);
    this.counts = new ClusterCounts(context.clusters + 1);
  }

  /** Reads the refcounts of the file. */
  static async read(context: CheckContext, yieldIfDue: () => Promise<void>): Promise<RefcountsOnDisk> {
    const { refcountTableOffset, refcountTableClusters } = context.header;
    const table = await context.read(refcountTableOffset, refcountTableClusters * context.geometry.clusterSize);
    const refcounts = new RefcountsOnDisk(context, viewOf(table.subarray(0, table.length - (table.length % 8))));
    await refcounts.#readBlocks(yieldIfDue);
    return refcounts;
  }

  /** The refcount of a cluster of the file; null when it is unknown. */
  get(cluster: number): number | null {
    if (this.#unreadable.size > 0 && this.#unreadable.has(Math.floor(cluster / this.#perBlock))) return null;
    return this.counts.get(cluster);
  }

  /** True if the refcount of every cluster is known: then `counts` has them. */
  get readable(): boolean {
    return this.#unreadable.size === 0;
  }

  /** The refcount of a cluster past the end of the file; a block may have one. */
  async getPastEnd(cluster: number): Promise<number | null> {
    const index = Math.floor(cluster / this.#perBlock);
    const offset = this.#blockOffset(index);
    if (offset === 0) return 0;
    if (offset % this.#context.geometry.clusterSize !== 0 || offset >= MAX_OFFSET) return null;
    const order = this.#context.header.refcountOrder;
    const length = Math.min(PART_BYTES, this.#context.geometry.clusterSize);
    const perPart = refcountsPerBlock(length, order);
    const within = cluster % this.#perBlock;
    const part = await this.#readPart(offset + Math.floor(within / perPart) * length, length);
    return Number(getRefcount(part, order, within % perPart));
  }

  /** Bytes of a block; a hostile image has many entries for which the same ones are needed. */
  async #readPart(at: number, length: number): Promise<DataView> {
    if (this.#part?.at === at) return this.#part.view;
    const bytes = new Uint8Array(length);
    bytes.set(await this.#context.read(at, length));
    this.#part = { at, view: viewOf(bytes) };
    return this.#part.view;
  }

  /** Checks the entries of the table, and counts them as references. */
  checkTable(context: CheckContext): void {
    const { findings, geometry, references, clusters, header } = context;
    for (let index = 0; index * 8 < this.#table.byteLength; index++) {
      const { offset, reserved } = this.#entry(index);
      if (offset === 0 && !reserved) continue;
      const place = () => ({ what: `refcount table entry ${index}`, at: header.refcountTableOffset + index * 8 });
      const report = (fault: Fault, message: string) =>
        findings.add('corruption', fault, 'bookkeeping', place(), () => message);
      const cluster = offset / geometry.clusterSize;
      const end = references.get(clusters) > 0 ? clusters + 1 : clusters;
      if (reserved) report('reserved-bits', 'It has bits set that must be zero.');
      else if (!Number.isInteger(cluster)) report('unaligned', `It points to ${hex(offset)}, inside a cluster.`);
      else if (cluster >= end) report('past-end', `It points to ${hex(offset)}, past the end of the file.`);
      else {
        context.refer(offset, geometry.clusterSize, 'refcounts', place);
        const count = references.get(cluster);
        if (count === 1) continue;
        const block = { what: `refcount block ${index}`, at: offset };
        const message = () => `It is referenced ${count} times.`;
        findings.addShared('corruption', 'refcount-block-shared', cluster, block, message);
      }
    }
  }

  #entry(index: number): { offset: number; reserved: boolean } {
    if (index * 8 >= this.#table.byteLength) return { offset: 0, reserved: false };
    return getRefcountTableEntry(this.#table, index);
  }

  #blockOffset(index: number): number {
    return this.#entry(index).offset;
  }

  #readBlocks(yieldIfDue: () => Promise<void>): Promise<void> {
    return readClusters(this.#context, this.#blocks(), {
      visit: ({ index }, bytes) => this.#take(index, bytes),
      afterBatch: yieldIfDue,
    });
  }

  /** Only the blocks that count clusters of the file: a hostile table refers to far more. */
  *#blocks(): Generator<{ readonly index: number; readonly offset: number }> {
    const blocks = Math.ceil(this.counts.clusters / this.#perBlock);
    for (let index = 0; index < blocks; index++) {
      const offset = this.#blockOffset(index);
      if (offset % this.#context.geometry.clusterSize !== 0 || offset >= MAX_OFFSET) this.#unreadable.add(index);
      else if (offset !== 0 && offset < this.#context.fileSize) yield { index, offset };
    }
  }

  #take(index: number, bytes: Uint8Array): undefined {
    const { counts } = this;
    const order = this.#context.header.refcountOrder;
    const first = index * this.#perBlock;
    const used = Math.min(this.#perBlock, counts.clusters - first);
    if (order === 4) {
      take16Bits(bytes, used, counts, first);
      return;
    }
    const block = viewOf(bytes);
    for (let at = 0; at < used; at++) counts.set(first + at, Number(getRefcount(block, order, at)));
  }
}

/** Two refcounts of 1, of 16 bits, as one word in the byte order of the machine. */
const TWO_ONES = new Int32Array(new Uint8Array([0, 1, 0, 1]).buffer)[0]!;

/** Takes over the refcounts of the usual width, 32 at a time. */
function take16Bits(bytes: Uint8Array, used: number, counts: ClusterCounts, first: number): void {
  const pairs = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const block = viewOf(bytes);
  for (let from = 0; from < used; from += 32) {
    // No page is taken for clusters without refcounts.
    if (areAll(pairs, from >> 1, 0)) continue;
    // Counts past the last cluster are never read.
    if (areAll(pairs, from >> 1, TWO_ONES)) counts.page(first + from).used[((first + from) & PAGE_MASK) >> 5] = -1;
    else for (let at = from; at < Math.min(from + 32, used); at++) counts.set(first + at, block.getUint16(at * 2));
  }
}

/** True if the 16 words from `from` on have this value. */
function areAll(words: Int32Array, from: number, value: number): boolean {
  for (let at = from; at < from + 16; at++) if (words[at] !== value) return false;
  return true;
}
