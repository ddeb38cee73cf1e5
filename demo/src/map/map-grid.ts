/** Owns the geometry of the allocation map: where each cell is drawn, and which one lies under a point or a key. */

/** Room for the offset at the start of each row, CSS pixels; at least, the grid ends at the right edge. */
const GUTTER = 72;

/** Cells in rows, in CSS pixels. */
export interface MapGrid {
  readonly cellCount: number;
  readonly columns: number;
  readonly rows: number;
  /** From one cell's left edge to the next one's; the same down. */
  readonly pitch: number;
  /** Between two cells. */
  readonly gap: number;
  /** Left of the first column: the row labels' room, or nothing where it is narrow. */
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Lays `cellCount` cells out in the given width: a row is a power of two of them, so that it stands for a round size.
 */
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
export function placeOf(grid: MapGrid, cell: number): { x: number; y: number } {
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

/** Rows that PageUp and PageDown cross. */
const PAGE_ROWS = 4;

/** Where a key leads from a cell; null for a key that leads nowhere. */
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
  // A step off the top or the bottom stays where it is; a page or a side step stops at the end.
  if ((key === 'ArrowDown' && target > last) || (key === 'ArrowUp' && target < 0)) return cell;
  return Math.min(last, Math.max(0, target));
}
