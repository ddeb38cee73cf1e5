/** The cache of the L2 tables of an image that is written: tables that differ from the medium stay in memory. */
import { MIN_TABLES, TableCache } from '../layer/table-cache.js';
import { setTableOffset } from '../mapping/table-offsets.js';

/** A cache whose tables can be pinned, and follow their clusters to other places. */
export class WrittenTables extends TableCache {
  /** Tables that differ from the medium, by host offset. They count in the budget, and are never evicted. */
  readonly #pinned = new Map<number, DataView>();

  override forL1Table(l1: DataView): WrittenTables {
    return new WrittenTables({ ...this.parts, l1 });
  }

  override find(offset: number): DataView | undefined {
    return super.find(offset) ?? this.#pinned.get(offset);
  }

  protected override get maxTables(): number {
    return Math.max(MIN_TABLES, super.maxTables - this.#pinned.size);
  }

  /** Replaces the L1 table: it has moved, or has another length. The tables that it refers to stay in the cache. */
  replaceL1Table(l1: DataView): void {
    this.l1 = l1;
  }

  /** Pins a table, new or about to be changed, until {@link unpin}. */
  pin(offset: number, view: DataView): void {
    setTableOffset(view, offset);
    this.tables.delete(offset);
    this.#pinned.set(offset, view);
  }

  /** Unpins the table at `offset`, once it is on the medium; it may be evicted from now on. */
  unpin(offset: number): void {
    const view = this.#pinned.get(offset);
    this.#pinned.delete(offset);
    if (view !== undefined) this.store(offset, view);
  }

  /** Follows a table to another host offset. It must not be pinned. */
  move(from: number, to: number): void {
    const view = this.find(from);
    this.forget(from);
    if (view !== undefined) this.store(to, view);
  }
}
