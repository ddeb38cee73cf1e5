import { describe, expect, it } from 'vitest';
import { cellAt, layOut, moveBy, positionOf } from '../src/map/map-grid.js';

describe('the grid of the map', () => {
  it.each([280, 328, 640, 1100, 1600])('fits in %d pixels and returns each cell at its position', (available) => {
    const grid = layOut(1000, available);
    expect(grid.width).toBeLessThanOrEqual(available);
    for (let cell = 0; cell < 1000; cell++) {
      const { x, y } = positionOf(grid, cell);
      expect(cellAt(grid, x + 1, y + 1)).toBe(cell);
      expect(y + grid.pitch).toBeLessThanOrEqual(grid.height);
    }
  });

  it('returns no cell outside the grid or after the last one', () => {
    const grid = layOut(100, 1100);
    expect(cellAt(grid, 5, 5)).toBeNull();
    expect(cellAt(grid, grid.width + grid.gap + 1, 5)).toBeNull();
    const { x, y } = positionOf(grid, 99);
    expect(cellAt(grid, x + grid.pitch + 1, y + 1)).toBeNull();
    expect(cellAt(grid, grid.left + 1, -1)).toBeNull();
  });

  it('moves by keys, and stays in the grid', () => {
    const grid = layOut(1000, 1100);
    expect(moveBy(grid, 0, 'ArrowRight')).toBe(1);
    expect(moveBy(grid, 0, 'ArrowLeft')).toBe(0);
    expect(moveBy(grid, 5, 'ArrowDown')).toBe(5 + grid.columns);
    expect(moveBy(grid, 5, 'ArrowUp')).toBe(5);
    expect(moveBy(grid, 990, 'ArrowDown')).toBe(990);
    expect(moveBy(grid, 990, 'PageDown')).toBe(999);
    expect(moveBy(grid, 10, 'PageUp')).toBe(0);
    expect(moveBy(grid, 500, 'Home')).toBe(0);
    expect(moveBy(grid, 500, 'End')).toBe(999);
    expect(moveBy(grid, 500, 'Enter')).toBeNull();
  });
});
