/**
 * The refcounts in memory: the refcount table, the loaded blocks, and which of their bytes differ from the medium.
 * Synchronous; the caller must have loaded the blocks (spec: "Host cluster management").
 *
 * A refcount in memory does not fall before its cluster leaves the allocator's quarantine. So it is never less than the
 * references in the tables on the medium, and may be written at any time before the roots stage.
 */

import { Qcow2Error } from '../../errors.js';
import { hex, setUint64, viewOf } from '../../format/bytes.js';
import { MAX_HOST_OFFSET, MAX_REFCOUNT_TABLE_BYTES } from '../../format/limits.js';
import { getRefcountTableEntry, refcountTableFaults } from '../../format/refcount-table.js';
import { countZeroRefcounts, getRefcount, refcountsPerBlock, setRefcount } from '../../format/refcounts.js';
import { describeAnyFault } from '../../format/table-faults.js';
import { bytesOf } from '../../format/view-bytes.js';
import { DirtyRanges } from './dirty-ranges.js';
import type { MetadataMap } from './metadata-map.js';

/** A refcount block in memory, and its bytes that differ from the medium. */
interface Block {
  readonly view: DataView;
  readonly dirty: DirtyRanges;
}

/** The place of the refcount table: its host offset in bytes, and its clusters. */
export interface RefcountTableLocation {
  readonly at: number;
  readonly clusters: number;
}

/** The refcounts of one image. */
export class Refcounts {
  readonly order: number;
  readonly clusterSize: number;
  /** Clusters that one block counts. */
  readonly perBlock: number;
  /** The highest refcount that fits; inexact from 2^53 on. */
  readonly max: number;
  /** Bytes of the table that differ from the medium. */
  readonly dirtyTable: DirtyRanges = new DirtyRanges();
  /** Blocks that the table on the medium does not refer to yet. */
  readonly unlinked: Set<number> = new Set();
  /** True if the table was moved, and the header on the medium does not refer to it yet. */
  moved = false;
  /** Clusters that were allocated, and that became free, since the image was opened. */
  allocated = 0;
  released = 0;
  readonly #metadata: MetadataMap;
  readonly #blocks = new Map<number, Block>();
  #table: DataView;
  #location: RefcountTableLocation;

  constructor(
    clusterSize: number,
    order: number,
    table: DataView,
    location: RefcountTableLocation,
    metadata: MetadataMap,
  ) {
    this.clusterSize = clusterSize;
    this.order = order;
    this.max = 2 ** (2 ** order) - 1;
    this.perBlock = refcountsPerBlock(clusterSize, order);
    this.#table = table;
    this.#location = location;
    this.#metadata = metadata;
  }

  /** The table's bytes. */
  get table(): DataView {
    return this.#table;
  }

  get location(): RefcountTableLocation {
    return this.#location;
  }

  /** The number of blocks in memory. */
  get blocks(): number {
    return this.#blocks.size;
  }

  /**
   * The host offset of a block, bytes; 0 when there is none, and its clusters are all free.
   *
   * @throws {@link Qcow2Error} `corrupt` when the table entry is invalid.
   */
  blockOffset(index: number): number {
    if (index >= this.#table.byteLength / 8) return 0;
    const { offset: at } = getRefcountTableEntry(this.#table, index);
    const faults = refcountTableFaults(this.clusterSize, this.#table, index);
    if (faults === 0) return at;
    const message = `Refcount table entry ${index} ${describeAnyFault(faults, at)}.`;
    throw new Qcow2Error('corrupt', message, { what: `refcount block ${index}`, at });
  }

  /** True if a block is in memory. */
  loaded(index: number): boolean {
    return this.#blocks.has(index);
  }

  /**
   * Adds a block that was read from the medium.
   *
   * @throws {@link Qcow2Error} `corrupt` when it has refcount 0 for a cluster of metadata. Then it is damaged, or no
   *   refcount block, and clusters that it counts as free may be in use.
   */
  adopt(index: number, view: DataView): void {
    if (this.#blocks.has(index)) return;
    const first = index * this.perBlock;
    for (const cluster of this.#metadata.clustersIn(first, first + this.perBlock)) {
      const count = getRefcount(view, this.order, cluster - first);
      if (count === 0 || count === 0n) {
        this.#metadata.refuseUncounted(cluster * this.clusterSize, this.#metadata.kindOf(cluster)!);
      }
    }
    this.#blocks.set(index, { view, dirty: new DirtyRanges() });
  }

  /** True if a cluster, whose block is loaded, has exactly one reference. */
  isSingle(cluster: number): boolean {
    const count = getRefcount(this.#block(cluster).view, this.order, cluster % this.perBlock);
    return count === 1 || count === 1n;
  }

  /** The references of a cluster, whose block is loaded; inexact from 2^53 on. */
  count(cluster: number): number {
    return Number(getRefcount(this.#block(cluster).view, this.order, cluster % this.perBlock));
  }

  /** Adds `references` to the refcount of a cluster, whose block is loaded. The sum must fit. */
  raise(cluster: number, references: number): void {
    if (references > 0) this.#set(cluster, this.#sum(cluster, references));
  }

  /** The number of clusters in use that the block `index`, which is loaded, counts. */
  usedIn(index: number): number {
    return this.perBlock - countZeroRefcounts(this.#blocks.get(index)!.view, this.order, this.perBlock);
  }

  /** The last cluster in use that the block `index`, which is loaded, counts; -1 when there is none. */
  lastUsedIn(index: number): number {
    const first = index * this.perBlock;
    for (let cluster = first + this.perBlock - 1; cluster >= first; cluster--) if (this.isUsed(cluster)) return cluster;
    return -1;
  }

  /** The number of entries of the table. */
  get tableEntries(): number {
    return this.#table.byteLength / 8;
  }

  /** Moves the block `index`, which is loaded, to the cluster at `at`, which is counted on the medium. */
  moveBlock(index: number, at: number): void {
    this.#metadata.add('refcount block', at, this.clusterSize);
    this.unlinked.add(index);
    this.#link(index, at);
  }

  /** Removes the block `index`: its clusters are free. */
  dropBlock(index: number): void {
    this.#blocks.delete(index);
    this.unlinked.delete(index);
    this.#link(index, 0);
  }

  /** Moves the table to `at`, into `clusters` clusters that are counted on the medium. Entries past them must be 0. */
  moveTable(at: number, clusters: number): void {
    const bytes = new Uint8Array(clusters * this.clusterSize);
    const kept = Math.min(bytes.length, this.#table.byteLength);
    bytes.set(bytesOf(this.#table).subarray(0, kept));
    this.#table = viewOf(bytes);
    this.#location = { at, clusters };
    this.moved = true;
  }

  #sum(cluster: number, references: number): number | bigint {
    const count = getRefcount(this.#block(cluster).view, this.order, cluster % this.perBlock);
    return typeof count === 'bigint' ? count + BigInt(references) : count + references;
  }

  #link(index: number, at: number): void {
    setUint64(this.#table, index * 8, at);
    this.dirtyTable.add(index * 8, index * 8 + 8);
  }

  /** True if a cluster, whose block is loaded, has a reference. */
  isUsed(cluster: number): boolean {
    return this.nextUsed(cluster, cluster + 1) === cluster;
  }

  /** Evicts the blocks loaded longest ago while more than `maxBlocks` are in memory. Dirty and `needed` blocks stay. */
  evict(maxBlocks: number, needed: (index: number) => boolean = () => false): void {
    if (this.#blocks.size <= maxBlocks) return;
    for (const [index, { dirty }] of this.#blocks) {
      if (this.#blocks.size <= maxBlocks) return;
      if (dirty.empty && !this.unlinked.has(index) && !needed(index)) this.#blocks.delete(index);
    }
  }

  /** The first free cluster from `from` on, within its block and before `to`; `to` when there is none. */
  nextFree(from: number, to: number): number {
    return this.#scan(from, to, true);
  }

  /** The first cluster in use from `from` on, within its block and before `to`; `to` when there is none. */
  nextUsed(from: number, to: number): number {
    return this.#scan(from, to, false);
  }

  /**
   * The first cluster of the free run that ends with `cluster`, which is free: within its block, and not before
   * `first`.
   */
  freeSince(cluster: number, first: number): number {
    const { view } = this.#block(cluster);
    const base = cluster - (cluster % this.perBlock);
    let start = cluster;
    while (start > first && Number(getRefcount(view, this.order, start - 1 - base)) === 0) start--;
    return start;
  }

  /** Counts the free clusters before `end` whose blocks are in memory. */
  countFree(end: number): number {
    let free = 0;
    for (const [index, { view }] of this.#blocks) {
      free += countZeroRefcounts(view, this.order, Math.min(this.perBlock, end - index * this.perBlock));
    }
    return free;
  }

  /** Sets the refcount of a free cluster to 1. */
  take(cluster: number): void {
    this.allocated++;
    this.#set(cluster, 1);
  }

  /**
   * Subtracts `references` from the refcount of a cluster; returns true if it is free then.
   *
   * @throws {@link Qcow2Error} `corrupt` when it had fewer.
   */
  lower(cluster: number, references: number): boolean {
    const count = this.#sum(cluster, -references);
    if (count < 0) {
      const at = cluster * this.clusterSize;
      this.#metadata.refuse('refcount', at, `The cluster at ${hex(at)} has a refcount below its references.`);
    }
    const isFree = count === 0 || count === 0n;
    if (isFree) this.free(cluster);
    else this.#set(cluster, count);
    return isFree;
  }

  /** Sets the refcount of a cluster, whose block is loaded, to 0. */
  free(cluster: number): void {
    this.#set(cluster, 0);
    this.released++;
  }

  /**
   * Adds `count` blocks for the clusters from `index * perBlock` on, which have none; the first of those clusters
   * contain them, so they count themselves. Returns the clusters of the old table if the table had to move; the caller
   * must free them.
   *
   * @throws {@link Qcow2Error} `no-space` when the blocks would not fit in the largest refcount table.
   */
  add(index: number, count: number = 1): readonly number[] {
    const first = index * this.perBlock;
    if (index + count > this.#table.byteLength / 8) return this.#grow(index, count);
    for (let step = 0; step < count; step++) this.#addBlock(index + step, first + step);
    for (let step = 0; step < count; step++) this.take(first + step);
    return [];
  }

  /** The dirty bytes of each block but the unlinked ones, which are written whole. */
  *dirtyBlocks(): Generator<{ index: number; at: number; view: DataView; dirty: DirtyRanges }, void, undefined> {
    for (const [index, { view, dirty }] of this.#blocks) {
      if (!dirty.empty && !this.unlinked.has(index)) yield { index, at: this.blockOffset(index), view, dirty };
    }
  }

  /** The blocks that the table on the medium does not refer to yet. */
  *unlinkedBlocks(): Generator<{ at: number; view: DataView }, void, undefined> {
    for (const index of this.unlinked) yield { at: this.blockOffset(index), view: this.#blocks.get(index)!.view };
  }

  /** Marks the unlinked blocks and the table as clean, once they are on the medium and linked there. */
  linked(): void {
    for (const index of this.unlinked) this.#blocks.get(index)!.dirty.clear();
    this.unlinked.clear();
    this.dirtyTable.clear();
    this.moved = false;
  }

  #scan(from: number, to: number, free: boolean): number {
    const { view } = this.#block(from);
    const base = from - (from % this.perBlock);
    for (let cluster = from; cluster < to; cluster++) {
      const count = getRefcount(view, this.order, cluster - base);
      if ((count === 0 || count === 0n) === free) return cluster;
    }
    return to;
  }

  #block(cluster: number): Block {
    return this.#blocks.get(Math.floor(cluster / this.perBlock))!;
  }

  #set(cluster: number, count: number | bigint): void {
    const { view, dirty } = this.#block(cluster);
    const entry = cluster % this.perBlock;
    setRefcount(view, this.order, entry, count);
    const byte = Math.floor((entry * 2 ** this.order) / 8);
    dirty.add(byte, byte + Math.max(1, 2 ** this.order / 8));
  }

  #addBlock(index: number, cluster: number): void {
    const at = cluster * this.clusterSize;
    this.#claim(cluster, 'refcount block');
    this.#blocks.set(index, { view: viewOf(new Uint8Array(this.clusterSize)), dirty: new DirtyRanges() });
    this.unlinked.add(index);
    this.#link(index, at);
  }

  /** Enters a cluster that no refcount block counts yet as metadata. Throws if it is metadata already. */
  #claim(cluster: number, kind: 'refcount block' | 'refcount table'): void {
    const at = cluster * this.clusterSize;
    const there = this.#metadata.kindOf(cluster);
    if (there !== undefined) this.#metadata.refuseUncounted(at, there);
    if (at + this.clusterSize > MAX_HOST_OFFSET || !Number.isSafeInteger(at)) throw full();
    this.#metadata.add(kind, at, this.clusterSize);
  }

  /**
   * Moves the table to where it has entries for `count` blocks from `index` on. New blocks count the table's clusters;
   * the table follows them. All of it is past the clusters that the old blocks count.
   */
  #grow(index: number, count: number): readonly number[] {
    const { clusterSize, perBlock } = this;
    const entriesPerCluster = clusterSize / 8;
    const old = this.#location;
    let blocks = count;
    // Half as much again, so that a growing image does not move its table at every step; but never more than the limit.
    let clusters = Math.min(Math.ceil(old.clusters * 1.5) + 1, MAX_REFCOUNT_TABLE_BYTES / clusterSize);
    for (;;) {
      const counted = Math.ceil((blocks + clusters) / perBlock);
      if (counted <= blocks && clusters * entriesPerCluster >= index + blocks) break;
      blocks = Math.max(blocks, counted);
      clusters = Math.max(clusters, Math.ceil((index + blocks) / entriesPerCluster));
    }
    if (clusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) throw full();
    const first = index * perBlock;
    const table = new Uint8Array(clusters * clusterSize);
    table.set(bytesOf(this.#table));
    this.#table = viewOf(table);
    for (let step = 0; step < blocks; step++) this.#addBlock(index + step, first + step);
    const at = (first + blocks) * clusterSize;
    for (let step = 0; step < clusters; step++) this.#claim(first + blocks + step, 'refcount table');
    for (let cluster = first; cluster < first + blocks + clusters; cluster++) this.take(cluster);
    this.#location = { at, clusters };
    this.moved = true;
    return Array.from({ length: old.clusters }, (_, step) => old.at / clusterSize + step);
  }
}

function full(): Qcow2Error {
  const message = 'The image cannot grow further: its refcount table would pass 8 MiB, or the file 2^53 bytes.';
  return new Qcow2Error('no-space', message, { what: 'refcount table' });
}
