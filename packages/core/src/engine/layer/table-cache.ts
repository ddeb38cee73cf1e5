/** The cache of L2 tables: loads each table once for all requests, and evicts the least recently used. */

import type { ByteSource, Done, Transfer } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { hex, viewOf } from '../../format/bytes.js';
import { l2TableOffset } from '../../format/entries.js';
import { describeFault, UNALIGNED } from '../../format/entry-faults.js';
import type { Geometry } from '../../format/geometry.js';
import { after, settled } from '../async/done.js';
import { setTableOffset } from '../mapping/table-offsets.js';
import type { Counters } from './counting-source.js';

/** Tables that are cached whatever the budget. */
export const MIN_TABLES = 4;

/** Bytes of L2 tables that are loaded in one batch, so that few device calls serve many tables. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** The most L1 entries of a batch, however few of them refer to a table. */
const BATCH_ENTRIES = 65_536;

/** Consecutive entries of the L1 table, from `first` to `last`. */
export interface L1Range {
  readonly first: number;
  readonly last: number;
}

/**
 * The tables of ranges of L1 entries. Null for an unallocated one and, until `loading` is done, for one that is being
 * loaded.
 */
export interface AcquiredTables {
  readonly tables: (DataView | null)[][];
  readonly loading: Done;
}

/** A table in memory. */
export interface CachedTable {
  readonly view: DataView;
  /** The clock at its last use: the lowest is evicted first. */
  used: number;
}

/** What a cache of tables is made from. */
export interface TableCacheParts {
  readonly geometry: Geometry;
  readonly source: ByteSource;
  readonly l1: DataView;
  /** Bytes of tables that are kept; a table is a cluster. */
  readonly budget: number;
  readonly counters: Counters;
}

/** The L2 tables of one image layer; the least recently used are evicted when the budget is used up. */
export class TableCache {
  readonly parts: TableCacheParts;
  /** The L1 table, which a writer changes in place, and replaces when it moves. */
  l1: DataView;
  /** The tables in memory, by host offset. */
  protected readonly tables: Map<number, CachedTable> = new Map();
  readonly #loading = new Map<number, Promise<DataView>>();
  #clock = 0;
  /** Incremented by {@link forget}: a load that has begun before is not kept. */
  #forgotten = 0;

  constructor(parts: TableCacheParts) {
    this.parts = parts;
    this.l1 = parts.l1;
  }

  /** Returns a new cache, with the same budget, for another L1 table of the same file: a snapshot's. */
  forL1Table(l1: DataView): TableCache {
    return new TableCache({ ...this.parts, l1 });
  }

  /** Entries of the L1 table. */
  get l1Size(): number {
    return this.l1.byteLength / 8;
  }

  /** True if the L1 entry refers to a table. */
  has(l1Index: number): boolean {
    return l1Index < this.l1Size && l2TableOffset(this.l1, l1Index) !== 0;
  }

  /** The table of an L1 entry, synchronously: null when there is none, undefined when it would have to be loaded. */
  peek(l1Index: number): DataView | null | undefined {
    if (l1Index >= this.l1Size) return null;
    const offset = l2TableOffset(this.l1, l1Index);
    if (offset === 0) return null;
    return this.find(offset);
  }

  /** The table at a host offset, if it is in memory. */
  find(offset: number): DataView | undefined {
    const cached = this.tables.get(offset);
    if (cached === undefined) return;
    cached.used = ++this.#clock;
    return cached.view;
  }

  /**
   * The tables of all L1 entries in `ranges`. Missing ones are loaded in one batch. A load in flight is shared, and
   * continues when a caller aborts.
   *
   * @throws {@link Qcow2Error} `corrupt` when an L1 entry is invalid; what the source throws.
   */
  acquire(ranges: readonly L1Range[], signal?: AbortSignal): AcquiredTables {
    let missing: Set<number> | null = null;
    const tables: (DataView | null)[][] = [];
    for (const { first, last } of ranges) {
      const row: (DataView | null)[] = [];
      for (let l1Index = first; l1Index <= last; l1Index++) {
        const table = this.peek(l1Index);
        if (table === undefined) {
          missing ??= new Set();
          missing.add(l1Index);
        }
        row.push(table ?? null);
      }
      tables.push(row);
    }
    if (missing === null) return { tables, loading: undefined };
    const loaded = new Map<number, DataView>();
    const loading = after(this.#load(missing, loaded, signal), () => {
      ranges.forEach(({ first }, index) => {
        tables[index] = tables[index]!.map((table, step) => table ?? loaded.get(first + step) ?? null);
      });
    });
    return { tables, loading };
  }

  /** Loads the tables of these L1 entries into `loaded`, by the index of the entry. */
  #load(l1Indexes: ReadonlySet<number>, loaded: Map<number, DataView>, signal: AbortSignal | undefined): Done {
    const waits: Promise<unknown>[] = [];
    const fresh: { l1Index: number; offset: number; view: DataView }[] = [];
    const transfers: Transfer[] = [];
    for (const l1Index of l1Indexes) {
      const offset = this.#requireOffset(l1Index);
      const pending = this.#loading.get(offset);
      if (pending !== undefined) {
        waits.push(pending.then((view) => loaded.set(l1Index, view)));
        continue;
      }
      const bytes = new Uint8Array(this.parts.geometry.clusterSize);
      fresh.push({ l1Index, offset, view: viewOf(bytes) });
      transfers.push({ at: offset, bytes });
    }
    if (transfers.length > 0) {
      const done = this.parts.source.read(transfers);
      const forgotten = this.#forgotten;
      const keep = () => {
        this.parts.counters.l2Loads += fresh.length;
        for (const { l1Index, offset, view } of fresh) {
          if (forgotten === this.#forgotten) this.store(offset, view);
          loaded.set(l1Index, view);
        }
      };
      if (done === undefined) keep();
      else waits.push(this.#share(done, fresh).then(keep));
    }
    if (waits.length > 0) return settled(Promise.all(waits), signal);
  }

  /** Drops the table at `offset`, whose cluster is given up, so that what takes its place is not read as the table. */
  forget(offset: number): void {
    this.tables.delete(offset);
    this.#loading.delete(offset);
    this.#forgotten++;
  }

  /** Shares the load with later callers. */
  #share(done: Promise<void>, fresh: readonly { offset: number; view: DataView }[]): Promise<void> {
    for (const { offset, view } of fresh) {
      const pending = done.then(() => view);
      pending.catch(() => {}); // The first caller reports it; there may be no other.
      this.#loading.set(offset, pending);
    }
    return done.finally(() => {
      for (const { offset } of fresh) this.#loading.delete(offset);
    });
  }

  /** The offset of a table. Throws if the L1 entry is invalid. */
  #requireOffset(l1Index: number): number {
    const offset = l2TableOffset(this.l1, l1Index);
    const details = { what: `L2 table ${l1Index}`, at: offset };
    // Reserved bits do not change where the table is.
    if (offset % this.parts.geometry.clusterSize !== 0) {
      const message = `L1 entry ${l1Index} ${describeFault(UNALIGNED, offset)}.`;
      throw new Qcow2Error('corrupt', message, details);
    }
    if (offset >= this.parts.source.size) {
      const end = hex(this.parts.source.size);
      const message = `L2 table ${l1Index} should be at ${hex(offset)}, but the file ends at ${end}. Is it cut short?`;
      throw new Qcow2Error('corrupt', message, details);
    }
    return offset;
  }

  /** The number of tables that are kept. */
  protected get maxTables(): number {
    return Math.max(MIN_TABLES, Math.floor(this.parts.budget / this.parts.geometry.clusterSize));
  }

  /** Keeps a table. */
  protected store(offset: number, view: DataView): void {
    setTableOffset(view, offset);
    const { maxTables } = this;
    if (this.tables.size >= maxTables) this.#evict(Math.ceil(maxTables / 8));
    this.tables.set(offset, { view, used: ++this.#clock });
  }

  /** Evicts the `count` least recently used tables: a search for one victim each time would cost more than it saves. */
  #evict(count: number): void {
    const byAge = [...this.tables].sort(([, a], [, b]) => a.used - b.used);
    for (const [offset] of byAge.slice(0, count)) this.tables.delete(offset);
  }
}

/** The L1 entries from `first` to at most `limit` that have about 4 MiB of tables that are `loaded`. */
export function nextEntries(
  { clusterSize }: Geometry,
  first: number,
  limit: number,
  loaded: (l1Index: number) => boolean,
): L1Range {
  const maxTables = Math.max(1, BATCH_BYTES / clusterSize);
  const end = Math.min(limit, first + BATCH_ENTRIES - 1);
  let last = first;
  for (let count = loaded(first) ? 1 : 0; last < end && count < maxTables; last++) {
    if (loaded(last + 1)) count++;
  }
  return { first, last };
}
