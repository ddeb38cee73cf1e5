import type { Extent } from 'qcow2';
import { describe, expect, it } from 'vitest';
import { Allocation, MAX_CELLS } from '../src/map/allocation.js';
import { cellContents, mapSummary } from '../src/map/map-words.js';

const KIB64 = 65536;

function extent(start: number, length: number, fields: Partial<Extent> = {}): Extent {
  return { start, length, depth: 0, present: true, zero: false, data: true, compressed: false, ...fields };
}
const hole = { present: false, zero: true, data: false };

describe('allocation', () => {
  it('has one cell for each cluster of a small disk', () => {
    const allocation = new Allocation(10 * KIB64 - 512, KIB64);
    expect(allocation.cellSize).toBe(KIB64);
    expect(allocation.cellCount).toBe(10);
    expect(allocation.bounds(9)).toEqual({ start: 9 * KIB64, end: 10 * KIB64 - 512 });
  });

  it('limits the number of cells of a large disk', () => {
    const allocation = new Allocation(100 * 2 ** 30, KIB64);
    expect(allocation.cellCount).toBeLessThanOrEqual(MAX_CELLS);
    expect(allocation.cellSize % KIB64).toBe(0);
    expect(allocation.cellOf(100 * 2 ** 30 - 1)).toBe(allocation.cellCount - 1);
  });

  it('splits an extent over several cells, and adds several extents in one cell', () => {
    const size = 2048 * KIB64;
    const allocation = new Allocation(size, KIB64);
    expect(allocation.cellSize).toBe(2 * KIB64);
    allocation.add(extent(0, 3 * KIB64));
    allocation.add(extent(3 * KIB64, KIB64, { compressed: true }));
    allocation.add(extent(4 * KIB64, size - 4 * KIB64, hole));
    expect(allocation.share(0, 'data')).toBe(2 * KIB64);
    expect(allocation.share(1, 'data')).toBe(KIB64);
    expect(allocation.share(1, 'compressed')).toBe(KIB64);
    expect(allocation.share(2, 'unallocated')).toBe(2 * KIB64);
    expect(allocation.stored).toBe(4 * KIB64);
    expect(allocation.mapped).toBe(size);
  });

  it('distinguishes all kinds', () => {
    const allocation = new Allocation(6 * KIB64, KIB64);
    allocation.add(extent(0, KIB64));
    allocation.add(extent(KIB64, KIB64, { compressed: true }));
    allocation.add(extent(2 * KIB64, KIB64, { depth: 1 }));
    allocation.add(extent(3 * KIB64, KIB64, { zero: true, data: false }));
    allocation.add(extent(4 * KIB64, KIB64, hole));
    allocation.add(extent(5 * KIB64, KIB64, { data: false, present: false, depth: 1 }));
    const kinds = ['data', 'compressed', 'backing', 'zero', 'unallocated', 'unknown'] as const;
    kinds.forEach((kind, cell) => {
      expect(allocation.share(cell, kind), kind).toBe(KIB64);
    });
  });

  it('accepts a disk of 0 bytes', () => {
    const allocation = new Allocation(0, KIB64);
    expect(allocation.cellCount).toBe(0);
    expect(mapSummary(allocation)).toEqual([]);
  });
});

describe('the map in words', () => {
  it('describes the contents of a cell, also before it is loaded', () => {
    const allocation = new Allocation(4096 * KIB64, KIB64);
    expect(cellContents(allocation, 0)).toBe('Not loaded yet');
    allocation.add(extent(0, KIB64));
    allocation.add(extent(KIB64, 3 * KIB64, hole));
    allocation.add(extent(4 * KIB64, 4 * KIB64));
    expect(cellContents(allocation, 0)).toBe('Data 25%, Unallocated 75%');
    expect(cellContents(allocation, 1)).toBe('Data: stored in this image as it is');
  });

  it('sums up each kind that occurs', () => {
    const allocation = new Allocation(100 * KIB64, KIB64);
    allocation.add(extent(0, 37 * KIB64));
    allocation.add(extent(37 * KIB64, 63 * KIB64, hole));
    expect(mapSummary(allocation)).toEqual(['37% holds data as it is (2.31 MiB).', '63% is not allocated (3.94 MiB).']);
  });
});
