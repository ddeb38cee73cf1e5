/** Computes the geometry of the allocation map: the position of each cell, and the cell at a point or for a key. */

/** Minimum width for the offset at the start of each row, CSS pixels. The grid is aligned to the right edge. */
const GUTTER = 72;

/** Cells in rows, in CSS pixels. */
export interface MapGrid {
  readonly cellCount: number;
  readonly columns: number;
  readonly rows: number;
  /** Distance between the left edges of neighbouring cells; the same vertically. */
  readonly pitch: number;
  /** Space between two cells. */
  readonly gap: number;
  /** Space left of the first column, for the row labels; 0 where the page is narrow. */
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

/** Lays `cellCount` cells out in the given width. A row has a power of two of them, so that it covers a round size. */
export function layOut(cellCount: number, available: number): MapGrid {
  const wide = available >= 640;
  const columns = wide ? 64 : 32;
  const pitch = Math.max(6, Math.floor((available - (wide ? GUTTER : 0)) / columns));
  const gap = pitch >= 12 ? 2 : 1;
  const left = wide ? available - columns * pitch + gap : 0;
  const rows = Math.max(1, Math.ceil(cellCount / columns));
  return { cellCount, columns, rows, pitch, gap, left, width: left + columns * pitch - gap, height: rows * pitch };
}

/** Left and top of a cell. */
export function positionOf(grid: MapGrid, cell: number): { x: number; y: number } {
  return {
    x: grid.left + (cell % grid.columns) * grid.pitch,
    y: Math.floor(cell / grid.columns) * grid.pitch,
  };
}

/** The cell at a point, or null where there is none. */
export function cellAt(grid: MapGrid, x: number, y: number): number | null {
  const column = Math.floor((x - grid.left) / grid.pitch);
  const row = Math.floor(y / grid.pitch);
  if (column < 0 || column >= grid.columns || row < 0) return null;
  const cell = row * grid.columns + column;
  return cell < grid.cellCount ? cell : null;
}

/** Rows that PageUp and PageDown move by. */
const PAGE_ROWS = 4;

/** The cell that a key moves to; null for a key that does not move. */
export function moveBy(grid: MapGrid, cell: number, key: string): number | null {
  const last = grid.cellCount - 1;
  const steps: Readonly<Record<string, number>> = {
    ArrowRight: cell + 1,
    ArrowLeft: cell - 1,
    ArrowDown: cell + grid.columns,
    ArrowUp: cell - grid.columns,
    PageDown: cell + PAGE_ROWS * grid.columns,
    PageUp: cell - PAGE_ROWS * grid.columns,
    Home: 0,
    End: last,
  };
  const target = steps[key];
  if (target === undefined) return null;
  // A step off the top or the bottom does not move; a page or a side step stops at the end.
  if ((key === 'ArrowDown' && target > last) || (key === 'ArrowUp' && target < 0)) return cell;
  return Math.min(last, Math.max(0, target));
}
