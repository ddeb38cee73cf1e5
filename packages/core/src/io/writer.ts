/** Owns the changing of an open image: each request alone, planned on tables in memory, and what happens when it fails. */
import { Qcow2Error } from '../errors.js';
import { alignUp, viewOf } from '../format/bytes.js';
import { getL1Entry, getL2Entry, setL1Entry, setL2Entry } from '../format/entries.js';
import { l1IndexOf } from '../format/geometry.js';
import { clustersNeeded, type EntryChange, type Freed, planWrite, type WritePlan } from '../map/plan-write.js';
import { planZero } from '../map/plan-zero.js';
import { nextRun } from '../map/runs.js';
import { commit, mark, markCorrupt } from './commit.js';
import type { Done } from './device.js';
import { readLayer } from './execute.js';
import { isBase, type Qcow2Layer } from './layer.js';
import type { RwLock } from './rw-lock.js';
import { run, type Steps } from './steps.js';
import { othersAtWork, readsWait, waits } from './synchronous.js';
import type { WriteState } from './write-state.js';

/** The most bytes that are planned at once: a bound on memory, and enough for one large transfer. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** How many references may wait in quarantine before a commit lets them go. */
const MOST_QUARANTINED = 65_536;

/** How much of the changes is kept in memory, bytes, before they are committed. */
export interface WriteBudgets {
  readonly l2Bytes: number;
  readonly refcountBytes: number;
}

/**
 * The writing side of an open image. Requests are carried out one by one, in the order in which they came; only zeroing and
 * discarding across the reach of an L2 table lets others in between, so what overlaps it must wait for it.
 */
export class Writer {
  readonly #layer: Qcow2Layer;
  readonly #state: WriteState;
  readonly #lock: RwLock;
  readonly #budgets: WriteBudgets;
  #marked = false;
  /** Requests that let others in between their parts, and are not done. */
  readonly #inParts = new Set<Promise<void>>();

  constructor(layer: Qcow2Layer, state: WriteState, lock: RwLock, budgets: WriteBudgets) {
    this.#layer = layer;
    this.#state = state;
    this.#lock = lock;
    this.#budgets = budgets;
  }

  /**
   * Why a change cannot be made at once: somebody is at work, or a file makes its caller wait. Files that are only read count, too,
   * since parts of clusters are copied from them. Null when it can.
   */
  get waiting(): Qcow2Error | null {
    const { device, data } = this.#state;
    if (!this.#lock.idle) return othersAtWork();
    if (device.promises) return waits('image', 0);
    if (data?.promises) return waits('data file', 1);
    return readsWait(this.#layer);
  }

  /**
   * Refuses everything after a failure.
   *
   * @throws {@link Qcow2Error} `failed`.
   */
  alive(): void {
    const cause = this.#failure;
    if (cause === null) return;
    const message = 'A write failed before. What was flushed is safe; open the image again to go on.';
    throw new Qcow2Error('failed', message, {}, { cause });
  }

  /** Why nothing can be done any more: a device failed, or the image contradicts itself. */
  get #failure(): unknown {
    const { device, data, metadata } = this.#state;
    return device.failure ?? data?.failure ?? metadata.damage;
  }

  /** Writes guest bytes. What is written may be lost until the next flush, never torn apart from what it belongs to. */
  write(offset: number, bytes: Uint8Array): Done {
    return this.#alone(() => this.#write(offset, bytes));
  }

  /** Turns guest bytes into zeros; `unmap` gives up the clusters that held them. */
  zero(offset: number, length: number, unmap: boolean): Done {
    if (this.#mustWriteZeros()) return this.#alone(() => this.#writeZeros(offset, offset + length));
    const done = run(this.#zero(offset, offset + length, unmap));
    if (done === undefined) return;
    this.#inParts.add(done);
    return done.finally(() => this.#inParts.delete(done));
  }

  /** Gives up guest bytes; they read as zeros where the format can say so. */
  discard(offset: number, length: number): Done {
    // Nothing says "zeros" in version 2, and giving a cluster up would let the backing file's bytes through.
    if (this.#layer.geometry.version === 2 && !isBase(this.#layer)) return;
    return this.zero(offset, length, true);
  }

  /** Returns when every change is on the medium, to be found there whatever happens. */
  flush(): Done {
    return this.#alone(() => commit(this.#state, false));
  }

  /** Brings the bits of bitmaps to where they are read. On the medium they stay in use. */
  storeBitmaps(): Done {
    if (this.#state.bitmaps === null) return;
    return this.#alone(() => commit(this.#state, false, true));
  }

  /**
   * Brings everything to the medium for the last time, once whatever was started has ended. After a failure there is nothing
   * to bring.
   */
  close(): Done {
    if (this.#inParts.size > 0) return Promise.allSettled(this.#inParts).then(() => this.close());
    // Whether anything was changed is known only when it is this request's turn.
    return this.#lock.writing(() => {
      if (this.#failure === null && this.#marked) return run(this.#guarded(() => commit(this.#state, true)));
    });
  }

  /** Runs a request alone. An image that contradicts itself is marked corrupt, and fails. */
  #alone(work: () => Steps): Done {
    return this.#lock.writing(() => run(this.#guarded(work)));
  }

  *#guarded(work: () => Steps): Steps {
    this.alive();
    try {
      yield* work();
      yield* this.#keepBudgets();
    } catch (error) {
      if (this.#state.metadata.damage !== null) yield* markCorrupt(this.#state, this.#layer.geometry.version);
      throw error;
    }
  }

  *#keepBudgets(): Steps {
    const { tables, refcounts, space } = this.#state;
    const mostBlocks = this.#mostBlocks;
    refcounts.evict(mostBlocks, noBlock);
    const full = tables.bytes > this.#budgets.l2Bytes || refcounts.blocks > mostBlocks;
    if (full || space.quarantine.size > MOST_QUARANTINED) {
      yield* commit(this.#state, false);
      refcounts.evict(mostBlocks, noBlock);
    }
  }

  /** How many refcount blocks are kept in memory. */
  get #mostBlocks(): number {
    return Math.max(4, Math.floor(this.#budgets.refcountBytes / this.#state.geometry.clusterSize));
  }

  *#write(offset: number, bytes: Uint8Array): Steps {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      // Chunks end where clusters do, so that no cluster is copied twice.
      const length = Math.min(bytes.length - done, CHUNK_BYTES - (at % this.#layer.geometry.clusterSize));
      yield* this.#writeChunk(at, bytes.subarray(done, done + length));
      if (length < bytes.length - done) yield* this.#keepBudgets();
      done += length;
    }
  }

  *#writeChunk(offset: number, bytes: Uint8Array): Steps {
    const layer = this.#layer;
    const { geometry } = layer;
    const { space, metadata } = this.#state;
    const target = this.#target();
    const first = l1IndexOf(geometry, offset);
    const last = l1IndexOf(geometry, offset + bytes.length - 1);
    yield* this.#track(offset, offset + bytes.length);
    const tables = yield* this.#writableTables(first, last);
    yield* this.#reserve(clustersNeeded(geometry, { first, tables }, offset, bytes.length));
    const borrowed: Uint8Array[] = [];
    const take = (length: number): Uint8Array => {
      const buffer = layer.scratch.take(length);
      borrowed.push(buffer);
      return buffer;
    };
    const context = { geometry, allocator: space, base: isBase(layer), end: target.size, take };
    const plan = planWrite(context, { first, tables }, offset, bytes);
    yield* this.#copy(plan);
    if (!geometry.externalData) {
      for (const { at, bytes } of plan.transfers) metadata.refuseOverlap('guest data', at, bytes.length);
    }
    yield target.write(plan.transfers);
    for (const buffer of borrowed) layer.scratch.give(buffer);
    this.#apply(first, tables, plan.changes, plan.freed);
  }

  /** Fills the parts of a plan that are copied. When they cannot be read nothing has changed. */
  *#copy({ copies, taken }: WritePlan): Steps {
    if (copies.length === 0) return;
    try {
      yield readLayer(this.#layer, copies);
    } catch (error) {
      for (const host of taken) this.#state.space.giveBack(host);
      throw error;
    }
  }

  #apply(first: number, tables: readonly DataView[], changes: readonly EntryChange[], freed: readonly Freed[]): void {
    const { l1, space, geometry } = this.#state;
    for (const change of changes) {
      const { offset } = getL1Entry(l1, change.l1Index);
      this.#state.tables.change(offset!, tables[change.l1Index - first]!, change);
    }
    if (!geometry.externalData) for (const run of freed) space.retire(run);
  }

  /** The tables of these L1 entries, each one there and referred to by nobody else. */
  *#writableTables(first: number, last: number): Steps<DataView[]> {
    const { l1 } = this.#state;
    const tables: DataView[] = [];
    let toMake = 0;
    for (let index = first; index <= last; index++) {
      const { offset, owned } = getL1Entry(l1, index);
      if (offset === null || !owned) toMake++;
    }
    const loaded = yield* this.#loadTables(first, last);
    if (toMake > 0) yield* this.#reserve(toMake);
    loaded.forEach((table, step) => {
      const { owned } = getL1Entry(l1, first + step);
      tables.push(table !== null && owned ? table : this.#makeTable(first + step, table));
    });
    return tables;
  }

  /** The tables of these L1 entries, null where there is none. */
  *#loadTables(first: number, last: number): Steps<(DataView | null)[]> {
    const { tables } = this.#layer;
    const held: (DataView | null)[] = [];
    const missing: number[] = [];
    for (let index = first; index <= last; index++) {
      const table = tables.peek(index);
      if (table === undefined) missing.push(index);
      held.push(table ?? null);
    }
    if (missing.length > 0) {
      yield tables.load(missing, (index, table) => {
        held[index - first] = table;
      });
    }
    return held;
  }

  /** A table of its own for an L1 entry: an empty one, or a copy of one that others refer to as well. */
  #makeTable(index: number, shared: DataView | null): DataView {
    const { geometry, l1, dirtyL1, space, metadata, tables } = this.#state;
    const host = space.allocate();
    const view = viewOf(new Uint8Array(geometry.clusterSize));
    if (shared !== null) {
      copyShared(this.#layer, shared, view);
      space.retire({ host: getL1Entry(l1, index).offset!, length: geometry.clusterSize });
    }
    metadata.add('L2 table', host, geometry.clusterSize);
    tables.addFresh(host, view);
    setL1Entry(l1, index, { offset: host, owned: true });
    dirtyL1.add(index * 8, index * 8 + 8);
    return view;
  }

  *#reserve(clusters: number): Steps {
    if (clusters === 0) return;
    const { space, refcounts, loadBlocks } = this.#state;
    const needed = (block: number) => space.needs(block);
    for (let missing = space.reserve(clusters); missing !== null; missing = space.searchOn()) {
      // The way through a full image is long: what was passed is not kept.
      refcounts.evict(this.#mostBlocks, needed);
      yield* loadBlocks(missing);
    }
  }

  *#mark(): Steps {
    if (this.#marked) return;
    yield* mark(this.#state, this.#layer.geometry.version);
    this.#marked = true;
  }

  /** Marks bytes that are about to change in the bitmaps, which are in use from then on. */
  *#track(start: number, end: number): Steps {
    yield* this.#mark();
    const { bitmaps } = this.#state;
    if (bitmaps !== null) yield* bitmaps.mark(start, end, () => commit(this.#state, false));
  }

  /**
   * The device that takes guest bytes.
   *
   * @throws {@link Qcow2Error} `unsupported` for an encrypted disk, `reference-refused` without its data file.
   */
  #target(): NonNullable<WriteState['data']> {
    const { unreadable, dataReference } = this.#layer;
    if (unreadable !== null) throw unreadable;
    if (this.#state.data !== null) return this.#state.data;
    const name = dataReference?.name ?? '';
    const message = `The write needs the data file "${name}", which was not handed over.`;
    throw new Qcow2Error('reference-refused', message, { what: 'data file', name, depth: 1 });
  }

  /** A raw data file is read without the tables, and version 2 cannot call anything zero that a backing file may hold. */
  #mustWriteZeros(): boolean {
    const { geometry, rawData } = this.#layer;
    return rawData || (geometry.version === 2 && !isBase(this.#layer));
  }

  *#writeZeros(start: number, end: number): Steps {
    const zeros = new Uint8Array(Math.min(end - start, CHUNK_BYTES));
    for (let at = start; at < end; ) {
      const length = Math.min(end - at, zeros.length);
      yield* this.#write(at, zeros.subarray(0, length));
      at += length;
    }
  }

  /** Each L2 table's part alone, so that nobody waits for the whole. */
  *#zero(start: number, end: number, unmap: boolean): Steps {
    for (const rest = { at: start, tracked: false }; rest.at < end; ) {
      yield this.#alone(() => this.#zeroNext(rest, end, unmap));
    }
  }

  /** The part of one L2 table. Tables without anything are passed by: a disk of a pebibyte has millions. */
  *#zeroNext(rest: { at: number; tracked: boolean }, end: number, unmap: boolean): Steps {
    const { bytesPerL2 } = this.#layer.geometry;
    // The whole request, also where nothing but zeros was: a bitmap says what was written, as QEMU's do.
    const tracking = this.#state.bitmaps !== null && this.#layer.unreadable === null;
    if (tracking && !rest.tracked) yield* this.#track(rest.at, end);
    rest.tracked = true;
    for (;;) {
      const start = rest.at;
      const stop = Math.min(end, start - (start % bytesPerL2) + bytesPerL2);
      const passed = this.#zeroAlready(start);
      if (!passed) yield* this.#zeroWithin(start, stop, unmap);
      rest.at = stop;
      if (!passed || stop === end) return;
    }
  }

  /** A part of one L2 table: whole subclusters by their entries, what is beside them by writing zeros. */
  *#zeroWithin(start: number, end: number, unmap: boolean): Steps {
    const { geometry, size } = this.#layer;
    const unit = geometry.subclusterSize;
    const from = alignUp(start, unit);
    // What lies behind the end of the disk is nobody's: its last subcluster counts as whole.
    const to = end === size ? alignUp(end, unit) : end - (end % unit);
    if (from > to) {
      yield* this.#zeroEdge(start, end);
      return;
    }
    yield* this.#zeroEdge(start, Math.min(from, end));
    if (from < to) yield* this.#zeroWhole(l1IndexOf(geometry, start), from, to, unmap);
    yield* this.#zeroEdge(to, end);
  }

  /** Whether nothing in the reach of the L2 table that maps a guest offset is held by any layer. */
  #zeroAlready(at: number): boolean {
    return isBase(this.#layer) && !this.#layer.tables.has(l1IndexOf(this.#layer.geometry, at));
  }

  /** Whole subclusters of one L2 table. */
  *#zeroWhole(index: number, start: number, end: number, unmap: boolean): Steps {
    const { geometry } = this.#layer;
    if (this.#layer.unreadable !== null) throw this.#layer.unreadable;
    yield* this.#mark();
    const tables = yield* this.#writableTables(index, index);
    const context = { geometry, base: isBase(this.#layer), unmap };
    const { changes, freed, written } = planZero(context, index, tables[0]!, start, end);
    this.#apply(index, tables, changes, freed);
    for (const range of written) yield* this.#writeZeros(range.start, Math.min(range.end, this.#layer.size));
  }

  /** Part of one subcluster, which no entry can call zero by itself. */
  *#zeroEdge(start: number, end: number): Steps {
    if (start >= end) return;
    const { geometry } = this.#layer;
    const index = l1IndexOf(geometry, start);
    const tables = yield* this.#loadTables(index, index);
    const { kind, length } = nextRun(geometry, tables[0]!, start, end);
    const already = kind === 'zero' || (kind === 'unallocated' && isBase(this.#layer));
    if (!already || length < end - start) yield* this.#writeZeros(start, end);
  }
}

/** Between requests no block is needed. */
const noBlock = (): boolean => false;

/** Copies a table that others refer to as well. Its clusters are theirs, too, so none of them is owned. */
function copyShared({ geometry }: Qcow2Layer, from: DataView, to: DataView): void {
  for (let index = 0; index < geometry.l2Entries; index++) {
    const mapping = getL2Entry(geometry, from, index);
    const owned = geometry.externalData;
    setL2Entry(geometry, to, index, 'owned' in mapping ? { ...mapping, owned } : mapping);
  }
}
