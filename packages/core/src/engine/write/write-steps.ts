/** The steps of a write: tables that may be changed, clusters to take, parts to copy, and the transfers themselves. */
import { Qcow2Error } from '../../errors.js';
import { hex, viewOf } from '../../format/bytes.js';
import { copyL2Table, isOwned, setL1Entry, setOwned } from '../../format/encode-entries.js';
import { getL1Entry, isCompressed, l2TableOffset, standardOffset } from '../../format/entries.js';
import { l1IndexOf } from '../../format/geometry.js';
import { describeAnyFault, l1Faults } from '../../format/table-faults.js';
import { settled } from '../async/done.js';
import { requireIntact } from '../async/request-buffers.js';
import type { Steps } from '../async/steps.js';
import { isBase, type Qcow2Layer } from '../layer/layer.js';
import { clusterMapping, clustersWrittenInPlace, type Freed, hostOffsetInCluster } from '../mapping/cluster-mapping.js';
import { planUnmap } from '../mapping/plan-unmap.js';
import { clustersNeeded, type EntryChange, planWrite, type WritePlan } from '../mapping/plan-write.js';
import { readLayer } from '../read/execute.js';
import { findClusters, isSingle } from './find-clusters.js';
import type { TrackedDevice } from './tracked-device.js';
import { stages, writeBack } from './write-back.js';
import type { WriteState } from './write-state.js';

/** The most bytes that are planned at once: a bound on memory, and enough for one large transfer. */
export const CHUNK_BYTES: number = 4 * 1024 * 1024;
/** How many references may wait in quarantine before a write-back releases them. */
const MAX_QUARANTINED = 65_536;

/** How much of the changes is kept in memory, bytes, before they are written back. */
export interface WriteBudgets {
  readonly l2Bytes: number;
  readonly refcountBytes: number;
}

/** The steps by which an open image is changed. The caller must have the image's exclusive lock. */
export class WriteSteps {
  readonly #layer: Qcow2Layer;
  readonly #state: WriteState;
  readonly #budgets: WriteBudgets;
  /** Aborts when reads of the backing chain take too long while the image is being closed. */
  readonly #backingSignal: AbortSignal | undefined;
  /** Length of the file when the image was opened, bytes. */
  readonly #sizeAtOpen: number;
  /** Host offsets of the L2 tables that {@link #checkTable} has checked, and of the new ones. */
  readonly #checkedTables = new Set<number>();

  constructor(layer: Qcow2Layer, state: WriteState, budgets: WriteBudgets, backingSignal: AbortSignal | undefined) {
    this.#layer = layer;
    this.#state = state;
    this.#budgets = budgets;
    this.#backingSignal = backingSignal;
    this.#sizeAtOpen = state.device.size;
  }

  /**
   * The host offset where bytes can be written without a change of metadata, because they lie in one allocated cluster
   * with a refcount of one. Null when more is to be done. This is the fast path, which most writes of a running virtual
   * machine take.
   *
   * @throws {@link Qcow2Error} `corrupt` when the entry contradicts the specification.
   */
  directWriteOffset(offset: number, length: number): number | null {
    const { geometry, tables, unreadable } = this.#layer;
    const { clusterSize, bytesPerL2, externalData } = geometry;
    const within = offset % clusterSize;
    if (!this.#state.lifecycle.changed || this.#state.bitmaps !== null || externalData || unreadable !== null)
      return null;
    if (within + length > clusterSize) return null;
    const l1Index = l1IndexOf(geometry, offset);
    const table = tables.peek(l1Index);
    const { l1 } = this.#state;
    if (table === null || table === undefined) return null;
    const { offset: tableAt, owned } = getL1Entry(l1, l1Index);
    if (!owned || l1Faults(geometry, l1, l1Index) !== 0 || !this.#checkedTables.has(tableAt!)) return null;
    const host = hostOffsetInCluster(geometry, table, Math.floor((offset % bytesPerL2) / clusterSize), offset, length);
    // What would reach metadata, or past the end of the file, is refused on the slow path.
    const sound = host !== null && host < this.#state.device.size && !this.#state.metadata.has(host);
    return sound && !this.#mayBeShared(host) ? host : null;
  }

  /** True if a snapshot may use the cluster at `host`: its refcount is not 1, or is not in memory. */
  #mayBeShared(host: number): boolean {
    const { refcounts } = this.#state;
    if (this.#layer.snapshots.length === 0) return false;
    const cluster = Math.floor(host / refcounts.clusterSize);
    return !refcounts.loaded(Math.floor(cluster / refcounts.perBlock)) || !refcounts.isSingle(cluster);
  }

  /**
   * Refuses to change a cluster in place when COPIED is set but its refcount is not 1: a snapshot would change as well.
   * Without snapshots nothing is shared, and no refcount is read.
   *
   * @throws {@link Qcow2Error} `corrupt`; the image is marked.
   */
  *#refuseShared(hosts: readonly number[]): Steps {
    const { metadata } = this.#state;
    if (this.#layer.snapshots.length === 0) return;
    for (const host of hosts) {
      if (yield* isSingle(this.#state, host)) continue;
      metadata.refuse('refcount', host, `COPIED is set for the cluster at ${hex(host)}, whose refcount is not 1.`);
    }
  }

  /** Writes back when what is kept in memory outgrows its budget. */
  *keepBudgets(): Steps {
    const { tables, refcounts, space, maxBlocks } = this.#state;
    refcounts.evict(maxBlocks);
    const full = tables.bytes > this.#budgets.l2Bytes || refcounts.blocks > maxBlocks;
    if (full || space.quarantine.size > MAX_QUARANTINED) {
      yield* writeBack(this.#state, 'budget');
      refcounts.evict(maxBlocks);
    }
  }

  /** Writes the first `total` of the bytes, as many at once as are planned at once. */
  *write(offset: number, bytes: Uint8Array, total: number = bytes.length): Steps {
    for (let done = 0; done < total; ) {
      requireIntact(bytes, total);
      const at = offset + done;
      // Chunks end where clusters do, so that no cluster is copied twice.
      const length = Math.min(total - done, CHUNK_BYTES - (at % this.#layer.geometry.clusterSize));
      yield* this.#writeChunk(at, bytes.subarray(done, done + length));
      if (length < total - done) yield* this.keepBudgets();
      done += length;
    }
  }

  *#writeChunk(offset: number, bytes: Uint8Array): Steps {
    const layer = this.#layer;
    const { geometry } = layer;
    const { space } = this.#state;
    const target = this.target();
    const { length } = bytes;
    const first = l1IndexOf(geometry, offset);
    const last = l1IndexOf(geometry, offset + length - 1);
    yield* this.track(offset, offset + length);
    const tables = yield* this.writableTables(first, last);
    if (layer.snapshots.length > 0) {
      yield* this.#refuseShared(clustersWrittenInPlace(geometry, { first, tables }, offset, length));
    }
    yield* findClusters(this.#state, clustersNeeded(geometry, { first, tables }, offset, length, target.size));
    requireIntact(bytes, length);
    const borrowed: Uint8Array[] = [];
    const takeBuffer = (length: number): Uint8Array => {
      const buffer = layer.scratch.take(length);
      borrowed.push(buffer);
      return buffer;
    };
    const context = { geometry, allocator: space, base: isBase(layer), end: target.size, takeBuffer };
    const plan = planWrite(context, { first, tables }, offset, bytes);
    yield* this.#writeTransfers(target, plan, bytes);
    for (const buffer of borrowed) layer.scratch.give(buffer);
    this.apply(first, tables, plan.changes, plan.freed);
  }

  /**
   * Fills the parts of a plan that are copied, and writes its transfers. When the parts cannot be read, or the caller's
   * `bytes` lose their memory meanwhile, no entry has changed, and the clusters are free again.
   */
  *#writeTransfers(target: TrackedDevice, { copies, taken, transfers }: WritePlan, bytes: Uint8Array): Steps {
    const { space, metadata, lifecycle } = this.#state;
    const { length } = bytes;
    try {
      const copied = copies.length > 0 ? readLayer(this.#layer, copies) : undefined;
      // A source may ignore every signal. What it still fills is memory of this plan, which is not used again.
      if (copied !== undefined) yield settled(copied, this.#backingSignal) as Promise<void>;
      requireIntact(bytes, length);
      if (!this.#layer.geometry.externalData) {
        for (const transfer of transfers) metadata.refuseOverlap('guest data', transfer.at, transfer.bytes.length);
      }
      yield target.write(transfers);
    } catch (error) {
      if (!lifecycle.failed) for (const host of taken) space.freeUnused(host);
      throw error;
    }
  }

  /** Makes the changes of a plan whose bytes are written. */
  apply(first: number, tables: readonly DataView[], changes: readonly EntryChange[], freed: readonly Freed[]): void {
    const { l1, space, geometry } = this.#state;
    for (const change of changes) {
      const { offset } = getL1Entry(l1, change.l1Index);
      this.#state.tables.change(offset!, tables[change.l1Index - first]!, change);
    }
    if (!geometry.externalData) for (const run of freed) space.retire(run);
  }

  /** The tables of these L1 entries, each allocated and with a refcount of one. */
  *writableTables(first: number, last: number): Steps<DataView[]> {
    const { l1 } = this.#state;
    const tables: DataView[] = [];
    const inPlace: number[] = [];
    for (let index = first; index <= last; index++) {
      this.#refuseFault(index);
      const { offset, owned } = getL1Entry(l1, index);
      if (offset !== null && owned) inPlace.push(offset);
    }
    const newTables = last - first + 1 - inPlace.length;
    yield* this.#refuseShared(inPlace);
    const loaded = yield* this.loadTables(first, last);
    const owned: (readonly number[])[] = [];
    for (const [step, table] of loaded.entries()) {
      owned.push(getL1Entry(l1, first + step).owned ? [] : yield* this.#ownedEntries(table));
    }
    if (newTables > 0) yield* findClusters(this.#state, newTables);
    loaded.forEach((table, step) => {
      const entry = getL1Entry(l1, first + step);
      if (table !== null) this.#checkTable(entry.offset!, table);
      tables.push(table !== null && entry.owned ? table : this.#makeTable(first + step, table, owned[step]!));
    });
    return tables;
  }

  /**
   * Checks a table before its first change, and enters the clusters past the end of the file that its entries refer to,
   * so that nothing is written there. Once the file has grown past them, such entries look like valid ones.
   */
  #checkTable(at: number, table: DataView): void {
    const { geometry, metadata } = this.#state;
    if (this.#checkedTables.has(at)) return;
    this.#checkedTables.add(at);
    if (geometry.externalData) return;
    for (let index = 0; index < geometry.l2Entries; index++) {
      if (isCompressed(geometry, table, index)) continue;
      const host = standardOffset(geometry, table, index);
      if (host !== null && host >= this.#sizeAtOpen) metadata.add('cluster past the end', host, geometry.clusterSize);
    }
  }

  #refuseFault(index: number): void {
    const { l1, l1At, geometry } = this.#state;
    const faults = l1Faults(geometry, l1, index);
    if (faults === 0) return;
    const how = describeAnyFault(faults, l2TableOffset(l1, index));
    throw new Qcow2Error('corrupt', `L1 entry ${index} ${how}.`, { what: `L1 entry ${index}`, at: l1At + index * 8 });
  }

  /**
   * Unmaps the guest bytes from `start`, the start of a cluster, to the end of what the L1 entry `index` maps. A table
   * that maps nothing else is given up itself. Over a backing file, which would show through, only guest bytes past the
   * end of the disk may be unmapped.
   */
  *unmapFrom(index: number, start: number): Steps {
    const { bytesPerL2 } = this.#layer.geometry;
    if (!this.#layer.tables.has(index)) return;
    if (start === index * bytesPerL2) return yield* this.#dropTable(index);
    const [present] = yield* this.loadTables(index, index);
    if (planUnmap(this.#layer.geometry, index, present!, start).changes.length === 0) return;
    const tables = yield* this.writableTables(index, index);
    // A shared table was copied, and its clusters are shared, too.
    const { changes, freed } = planUnmap(this.#layer.geometry, index, tables[0]!, start);
    this.apply(index, tables, changes, freed);
  }

  /** True if the cluster of a guest offset is stored: not unallocated, and not zeros alone. */
  *isStored(at: number): Steps<boolean> {
    const { geometry } = this.#layer;
    const index = l1IndexOf(geometry, at);
    const [table] = yield* this.loadTables(index, index);
    if (!table) return false;
    const within = at % geometry.bytesPerL2;
    const entry = Math.floor(within / geometry.clusterSize);
    const { allocated, stored } = clusterMapping(geometry, table, entry, at - (at % geometry.clusterSize));
    return allocated !== 0 || stored > 0;
  }

  /** Records that an L2 table that was checked has moved. */
  tableMoved(from: number, to: number): void {
    if (this.#checkedTables.delete(from)) this.#checkedTables.add(to);
  }

  /** Gives up an L2 table, and every cluster that it refers to. */
  *#dropTable(index: number): Steps {
    const { geometry, l1, dirtyL1, space, tables } = this.#state;
    this.#refuseFault(index);
    const [table] = yield* this.loadTables(index, index);
    const { offset, owned } = getL1Entry(l1, index);
    const { freed } = planUnmap(geometry, index, table!, index * geometry.bytesPerL2);
    // What a shared table refers to is shared, whatever the entries say.
    if (!geometry.externalData) for (const run of freed) space.retire(owned ? run : { ...run, shared: true });
    space.retire({ host: offset!, length: geometry.clusterSize, shared: !owned });
    setL1Entry(l1, index, { offset: null, owned: false });
    dirtyL1.add(index * 8, index * 8 + 8);
    tables.forget(offset!);
  }

  /** The tables of these L1 entries, null where there is none. */
  *loadTables(first: number, last: number): Steps<(DataView | null)[]> {
    const { tables, loading } = this.#layer.tables.acquire([{ first, last }]);
    yield loading;
    return tables[0]!;
  }

  /**
   * The entries of a table without COPIED in the L1 entry that have it themselves, and whose clusters have the refcount
   * one. Only a table whose refcount is too high has such entries; with snapshots, whose clusters may have one that is
   * too low, none counts.
   */
  *#ownedEntries(table: DataView | null): Steps<number[]> {
    const { geometry } = this.#state;
    const entries: number[] = [];
    if (table === null || geometry.externalData || this.#layer.snapshots.length > 0) return entries;
    for (let index = 0; index < geometry.l2Entries; index++) {
      if (!isOwned(geometry, table, index) || isCompressed(geometry, table, index)) continue;
      if (yield* isSingle(this.#state, standardOffset(geometry, table, index) ?? 0)) entries.push(index);
    }
    return entries;
  }

  /**
   * A table of its own for an L1 entry: an empty one, or a copy of one that others refer to as well. In a copy the
   * entries `owned` keep COPIED.
   */
  #makeTable(index: number, shared: DataView | null, owned: readonly number[]): DataView {
    const { geometry, l1, dirtyL1, space, metadata, tables } = this.#state;
    const host = space.allocate();
    const view = viewOf(new Uint8Array(geometry.clusterSize));
    if (shared !== null) {
      copyL2Table(geometry, shared, view);
      for (const entry of owned) setOwned(geometry, view, entry, true);
      space.retire({ host: getL1Entry(l1, index).offset!, length: geometry.clusterSize, shared: true });
    }
    metadata.add('L2 table', host, geometry.clusterSize);
    tables.addFresh(host, view);
    this.#checkedTables.add(host);
    setL1Entry(l1, index, { offset: host, owned: true });
    dirtyL1.add(index * 8, index * 8 + 8);
    return view;
  }

  /** Announces the first change in the header. */
  *mark(): Steps {
    const { lifecycle } = this.#state;
    if (lifecycle.changed) return;
    yield* stages.mark(this.#state);
    lifecycle.announced();
  }

  /**
   * Marks bytes that are about to change in the bitmaps, which are in use from then on. What is past the end of the
   * disk is not the guest's.
   */
  *track(start: number, end: number): Steps {
    yield* this.mark();
    const { bitmaps } = this.#state;
    const last = Math.min(end, this.#layer.size);
    if (bitmaps !== null && start < last) yield* bitmaps.mark(start, last, () => writeBack(this.#state, 'budget'));
  }

  /**
   * The device that takes guest bytes.
   *
   * @throws {@link Qcow2Error} `unsupported` for an encrypted disk, `reference-refused` without its data file.
   */
  target(): TrackedDevice {
    const { unreadable, dataReference } = this.#layer;
    if (unreadable !== null) throw unreadable;
    if (this.#state.data !== null) return this.#state.data;
    const name = dataReference?.name ?? '';
    const message = `The write needs the data file "${name}", which was not provided.`;
    throw new Qcow2Error('reference-refused', message, { what: 'data file', name, depth: 1 });
  }

  /** Writes zeros where no entry can express them. */
  *writeZeros(start: number, end: number): Steps {
    const zeros = new Uint8Array(Math.min(end - start, CHUNK_BYTES));
    for (let at = start; at < end; ) {
      const length = Math.min(end - at, zeros.length);
      yield* this.write(at, zeros.subarray(0, length));
      at += length;
    }
  }
}
