/** Reads the refcount table and its blocks for a check, and does not rely on their contents. */

import type { Fault } from '../../api/check-report.js';
import type { Transfer } from '../../api/device.js';
import { ClusterCounts, LARGE_COUNT, nextPage, PAGE_MASK } from '../../engine/allocation/cluster-counts.js';
import { hex, viewOf } from '../../format/bytes.js';
import { getRefcount, getRefcountTableEntry, refcountsPerBlock } from '../../format/refcounts.js';
import type { CheckContext } from './check-context.js';

/** Bytes of refcount blocks that are loaded in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** QEMU reads nothing from here on, and zeros from the end of the file up to here. */
const MAX_OFFSET = 2 ** 63;

/** The refcounts of every cluster of the file. */
export class RefcountsOnDisk {
  readonly counts: ClusterCounts;
  readonly #context: CheckContext;
  readonly #table: DataView;
  readonly #perBlock: number;
  /** Blocks with an unaligned or impossible offset: their refcounts are unknown. */
  readonly #unreadable = new Set<number>();

  private constructor(context: CheckContext, table: DataView) {
    this.#context = context;
    this.#table = table;
    this.#perBlock = refcountsPerBlock(context.geometry.clusterSize, context.header.refcountOrder);
    this.counts = new ClusterCounts(context.clusters + 1);
  }

  /** Reads the refcounts of the file. */
  static async read(context: CheckContext, turn: () => Promise<void>): Promise<RefcountsOnDisk> {
    const { refcountTableOffset, refcountTableClusters } = context.header;
    const table = await context.read(refcountTableOffset, refcountTableClusters * context.geometry.clusterSize);
    const refcounts = new RefcountsOnDisk(context, viewOf(table.subarray(0, table.length - (table.length % 8))));
    await refcounts.#readBlocks(turn);
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
    const block = new Uint8Array(this.#context.geometry.clusterSize);
    block.set(await this.#context.read(offset, block.length));
    return Number(getRefcount(viewOf(block), this.#context.header.refcountOrder, cluster % this.#perBlock));
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

  /** Only the blocks that count clusters of the file: a hostile table refers to far more. */
  async #readBlocks(turn: () => Promise<void>): Promise<void> {
    const { clusterSize } = this.#context.geometry;
    const blocks = Math.ceil(this.counts.clusters / this.#perBlock);
    const batch: { index: number; offset: number }[] = [];
    for (let index = 0; index < blocks; index++) {
      const offset = this.#blockOffset(index);
      if (offset % clusterSize !== 0 || offset >= MAX_OFFSET) this.#unreadable.add(index);
      else if (offset !== 0 && offset < this.#context.fileSize) batch.push({ index, offset });
      if (batch.length * clusterSize >= BATCH_BYTES) {
        await this.#readBatch(batch.splice(0));
        await turn();
      }
    }
    if (batch.length > 0) await this.#readBatch(batch);
  }

  async #readBatch(batch: readonly { index: number; offset: number }[]): Promise<void> {
    const { source, geometry, signal } = this.#context;
    const bytes = new Uint8Array(batch.length * geometry.clusterSize);
    const transfers = batch.map(({ offset }, number): Transfer => {
      const at = number * geometry.clusterSize;
      return { at: offset, bytes: bytes.subarray(at, at + geometry.clusterSize) };
    });
    const done = source.read(transfers, signal);
    if (done !== undefined) await done;
    signal?.throwIfAborted();
    batch.forEach(({ index }, number) => {
      this.#take(index, viewOf(transfers[number]!.bytes));
    });
  }

  #take(index: number, block: DataView): void {
    const { counts } = this;
    const order = this.#context.header.refcountOrder;
    const first = index * this.#perBlock;
    const used = Math.min(this.#perBlock, counts.clusters - first);
    for (let entry = 0; entry < used; ) {
      // The usual width, a page at a time.
      const end = Math.min(used, nextPage(first + entry) - first);
      if (order === 4) takeWords(block, entry, end, counts, first);
      else for (let at = entry; at < end; at++) counts.set(first + at, Number(getRefcount(block, order, at)));
      entry = end;
    }
  }
}

function takeWords(block: DataView, from: number, to: number, counts: ClusterCounts, first: number): void {
  const page = counts.page(first + from);
  const shift = (first + from) & PAGE_MASK;
  for (let entry = from; entry < to; entry++) {
    const count = block.getUint16(entry * 2);
    if (count < LARGE_COUNT) page[shift + entry - from] = count;
    else counts.set(first + entry, count);
  }
}
