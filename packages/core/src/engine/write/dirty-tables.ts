/** The L2 tables that differ from the medium: their dirty ranges, and whether the medium refers to them yet. */

import type { Transfer } from '../../api/device.js';
import { setL2Entry } from '../../format/encode-entries.js';
import type { Geometry } from '../../format/geometry.js';
import { DirtyRanges } from '../allocation/dirty-ranges.js';
import type { EntryChange } from '../mapping/plan-write.js';
import type { WrittenTables } from './written-tables.js';

/** An L2 table with changes. */
interface DirtyTable {
  readonly view: DataView;
  readonly dirty: DirtyRanges;
  /** Nothing on the medium refers to it: it may be written at any time before the roots stage. */
  readonly fresh: boolean;
}

/** The changed L2 tables of an image, by offset. They are pinned in the table cache until they are on the medium. */
export class DirtyTables {
  readonly #geometry: Geometry;
  readonly #cache: WrittenTables;
  readonly #tables = new Map<number, DirtyTable>();

  constructor(geometry: Geometry, cache: WrittenTables) {
    this.#geometry = geometry;
    this.#cache = cache;
  }

  /** Bytes of memory that the changed tables take. */
  get bytes(): number {
    return this.#tables.size * this.#geometry.clusterSize;
  }

  get empty(): boolean {
    return this.#tables.size === 0;
  }

  /** Adds a table that nothing on the medium refers to. */
  addFresh(offset: number, view: DataView): void {
    const dirty = new DirtyRanges();
    dirty.add(0, view.byteLength);
    this.#tables.set(offset, { view, dirty, fresh: true });
    this.#cache.pin(offset, view);
  }

  /** Changes an entry of the table at `offset`. */
  change(offset: number, view: DataView, { index, mapping }: EntryChange): void {
    let table = this.#tables.get(offset);
    if (table === undefined) {
      table = { view, dirty: new DirtyRanges(), fresh: false };
      this.#tables.set(offset, table);
      this.#cache.pin(offset, view);
    }
    const { l2EntrySize } = this.#geometry;
    setL2Entry(this.#geometry, view, index, mapping);
    table.dirty.add(index * l2EntrySize, (index + 1) * l2EntrySize);
  }

  /** Forgets the table at `offset`, whose cluster is given up: its changes are not written. */
  forget(offset: number): void {
    if (this.#tables.delete(offset)) this.#cache.unpin(offset);
    this.#cache.forget(offset);
  }

  /** The dirty ranges of the fresh tables, or of the others. */
  transfers(fresh: boolean): Transfer[] {
    const transfers: Transfer[] = [];
    for (const [offset, table] of this.#tables) {
      if (table.fresh === fresh) addDirty(transfers, table.view, offset, table.dirty);
    }
    return transfers;
  }

  /** Unpins and forgets all tables, once they are on the medium. */
  written(): void {
    for (const offset of this.#tables.keys()) this.#cache.unpin(offset);
    this.#tables.clear();
  }
}

/** Adds the dirty bytes of the table at the host offset `at` to a batch. */
export function addDirty(transfers: Transfer[], view: DataView, at: number, dirty: DirtyRanges): void {
  for (const { start, end } of dirty) {
    const length = Math.min(end, view.byteLength) - start;
    transfers.push({ at: at + start, bytes: new Uint8Array(view.buffer, view.byteOffset + start, length) });
  }
}
