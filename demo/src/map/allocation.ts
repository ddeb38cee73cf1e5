/** Stores the allocation map in a bounded number of cells, each with its bytes of each kind. */
import type { Extent } from 'qcow2';
import { KINDS, type Kind, kindOf } from './kind.js';

/** The most cells, for a disk of any size. */
export const MAX_CELLS = 1024;

/** Bytes by kind. */
export type Shares = Readonly<Record<Kind, number>>;

/**
 * Adds extents up into cells of equal size. Memory does not grow with the number of extents. Cells not loaded yet are
 * distinguished from empty ones.
 */
export class Allocation {
  /** Virtual size, bytes. */
  readonly size: number;
  /** Guest bytes of a cell, a whole number of clusters; the last cell may have fewer. */
  readonly cellSize: number;
  readonly cellCount: number;
  readonly #cells: Float64Array;
  readonly #totals: Float64Array = new Float64Array(KINDS.length);
  #mapped = 0;
  #stored = 0;

  /** For a disk of `size` bytes in units of `unit` bytes. */
  constructor(size: number, unit: number) {
    this.size = size;
    const units = Math.ceil(size / unit);
    this.cellSize = Math.max(1, Math.ceil(units / MAX_CELLS)) * unit;
    this.cellCount = Math.ceil(size / this.cellSize);
    this.#cells = new Float64Array(this.cellCount * KINDS.length);
  }

  /** Adds an extent. Extents arrive in order, without gaps. */
  add(extent: Extent): void {
    const kind = KINDS.indexOf(kindOf(extent));
    const end = Math.min(extent.start + extent.length, this.size);
    for (let at = extent.start; at < end; ) {
      const cell = Math.floor(at / this.cellSize);
      const stop = Math.min(end, (cell + 1) * this.cellSize);
      const slot = cell * KINDS.length + kind;
      this.#cells[slot] = this.#cells[slot]! + (stop - at);
      at = stop;
    }
    const length = end - extent.start;
    this.#totals[kind] = this.#totals[kind]! + length;
    if (extent.data) this.#stored += length;
    this.#mapped = end;
  }

  /** Bytes from the start of the disk that are mapped so far. */
  get mapped(): number {
    return this.#mapped;
  }

  /** Bytes, of those mapped, that are stored in the chain, compressed or not. */
  get stored(): number {
    return this.#stored;
  }

  /** Bytes of a kind over the whole disk, as far as it is mapped. */
  total(kind: Kind): number {
    return this.#totals[KINDS.indexOf(kind)]!;
  }

  /** Bytes of a kind in a cell. */
  share(cell: number, kind: Kind): number {
    return this.#cells[cell * KINDS.length + KINDS.indexOf(kind)] ?? 0;
  }

  /** The guest bytes of a cell: `[start, end)`. */
  bounds(cell: number): { start: number; end: number } {
    const start = cell * this.cellSize;
    return { start, end: Math.min(this.size, start + this.cellSize) };
  }

  /** The cell that contains a guest offset. */
  cellOf(offset: number): number {
    return Math.min(this.cellCount - 1, Math.floor(offset / this.cellSize));
  }
}
