/**
 * Refcounts and free clusters in memory: how the table grows up to what it may have, and how a search remembers its
 * way.
 */
import { describe, expect, it } from 'vitest';
import { SpaceAllocator } from '../../src/engine/allocation/allocator.js';
import { MetadataMap } from '../../src/engine/allocation/metadata-map.js';
import { Refcounts } from '../../src/engine/allocation/refcounts.js';
import type { Freed } from '../../src/engine/mapping/cluster-mapping.js';
import { setRefcount } from '../../src/format/refcounts.js';

const CLUSTER = 512;
const MIB = 1024 * 1024;
/** 16 bits each. */
const ORDER = 4;
const PER_BLOCK = (CLUSTER * 8) / 16;

/** Refcounts whose table has `bytes` and names a block at every entry, each of them in some place. */
function fullTable(bytes: number): { refcounts: Refcounts; metadata: MetadataMap } {
  const table = new DataView(new ArrayBuffer(bytes));
  for (let index = 0; index < bytes / 8; index++) table.setUint32(index * 8 + 4, CLUSTER);
  const metadata = new MetadataMap(CLUSTER, () => {});
  const place = { at: 2 * CLUSTER, clusters: bytes / CLUSTER };
  return { refcounts: new Refcounts(CLUSTER, ORDER, table, place, metadata), metadata };
}

/** A block that counts everything as used but the clusters of `free`. */
function block(free: readonly number[]): DataView {
  const view = new DataView(new ArrayBuffer(CLUSTER));
  for (let cluster = 0; cluster < PER_BLOCK; cluster++)
    setRefcount(view, ORDER, cluster, free.includes(cluster) ? 0 : 1);
  return view;
}

describe('the refcount table', () => {
  it('grows by half, and frees its old clusters', () => {
    const { refcounts } = fullTable(MIB);
    const entries = MIB / 8;
    const given = refcounts.add(entries);
    expect(given).toHaveLength(MIB / CLUSTER);
    expect(given[0]).toBe(2);
    expect(refcounts.table.byteLength).toBeGreaterThanOrEqual(1.5 * MIB);
    // Behind what was counted: blocks for the new table and for themselves, then the table.
    expect(refcounts.location.at).toBeGreaterThan(entries * PER_BLOCK * CLUSTER);
    const last = refcounts.location.at / CLUSTER + refcounts.location.clusters;
    expect(refcounts.nextFree(last - 1, Number.POSITIVE_INFINITY)).toBe(last);
  });

  it('grows to all of its 8 MiB, also where half as much again would be more', () => {
    const { refcounts } = fullTable(6 * MIB);
    refcounts.add((6 * MIB) / 8);
    expect(refcounts.table.byteLength).toBe(8 * MIB);
    expect(refcounts.location.clusters).toBe((8 * MIB) / CLUSTER);
  });

  it('does not grow past 8 MiB: throws no-space, and changes nothing', () => {
    const { refcounts } = fullTable(8 * MIB);
    const { table, location } = refcounts;
    expect(() => refcounts.add(MIB)).toThrow(expect.objectContaining({ code: 'no-space' }));
    expect(refcounts.table).toBe(table);
    expect(refcounts.location).toBe(location);
    expect(refcounts.moved).toBe(false);
    expect(refcounts.unlinked.size).toBe(0);
  });
});

describe('the search for free clusters', () => {
  /** Answers every question for blocks, forgetting others as the writer does; counts how often each was loaded. */
  function search(
    space: SpaceAllocator,
    refcounts: Refcounts,
    clusters: number,
    frees: Map<number, number[]>,
  ): Map<number, number> {
    const loads = new Map<number, number>();
    for (let missing = space.reserve(clusters); missing !== null; missing = space.continueSearch()) {
      refcounts.evict(4, (index) => space.needs(index));
      for (const index of missing) {
        loads.set(index, (loads.get(index) ?? 0) + 1);
        refcounts.adopt(index, block(frees.get(index) ?? []));
      }
    }
    return loads;
  }

  it('searches each block once, keeps few in memory, and keeps those with reserved clusters', () => {
    const { refcounts, metadata } = fullTable(MIB);
    const space = new SpaceAllocator(refcounts, metadata, () => false);
    const run = Array.from({ length: 20 }, (_, step) => 100 + step);
    const frees = new Map([
      [3, run],
      [900, run],
      [1500, run],
    ]);
    const loads = search(space, refcounts, 60, frees);
    expect(Math.max(...loads.values())).toBe(1);
    expect(refcounts.blocks).toBeLessThan(40);
    const found = Array.from({ length: 60 }, () => space.allocate() / CLUSTER);
    expect(found).toEqual([3, 900, 1500].flatMap((index) => run.map((cluster) => index * PER_BLOCK + cluster)));
  });

  it('takes one cluster from the first free run, and several from the first run that is long enough', () => {
    const { refcounts, metadata } = fullTable(MIB);
    const space = new SpaceAllocator(refcounts, metadata, () => false);
    const frees = new Map([
      [0, [5, 50]],
      [1, Array.from({ length: 100 }, (_, step) => step)],
    ]);
    search(space, refcounts, 30, frees);
    expect(space.allocate() / CLUSTER).toBe(PER_BLOCK);
    search(space, refcounts, 1, frees);
    expect(space.allocate() / CLUSTER).toBe(5);
  });

  it('fills the first free run with single clusters, and continues with several after those found before', () => {
    const { refcounts, metadata } = fullTable(MIB);
    const space = new SpaceAllocator(refcounts, metadata, () => false);
    const holes = new Map(Array.from({ length: 1000 }, (_, index) => [index, [7]]));
    const room = Array.from({ length: 100 }, (_, step) => step);
    const frees = new Map([...holes, [1500, room]]);
    expect(search(space, refcounts, 20, frees).size).toBeGreaterThan(1000);
    for (let pair = 0; pair < 4; pair++) {
      const found = Array.from({ length: 20 }, () => space.allocate() / CLUSTER);
      expect(found[0]).toBe(1500 * PER_BLOCK + pair * 20);
      expect(search(space, refcounts, 1, frees).size).toBeLessThanOrEqual(16);
      expect(space.allocate() / CLUSTER).toBe(pair * PER_BLOCK + 7);
      expect(search(space, refcounts, 20, frees).size).toBeLessThanOrEqual(16);
    }
  });
});

describe('releasing clusters', () => {
  it('requests few blocks at once, and finds the released clusters', () => {
    const { refcounts, metadata } = fullTable(MIB);
    const space = new SpaceAllocator(refcounts, metadata, () => false);
    for (let index = 999; index >= 0; index--) {
      space.retire({ host: index * PER_BLOCK * CLUSTER, length: 20 * CLUSTER } as Freed);
    }
    let maxBlocks = 0;
    for (const missing of space.release()) {
      expect(missing.length).toBeLessThanOrEqual(16);
      for (const { dirty } of refcounts.dirtyBlocks()) dirty.clear();
      refcounts.evict(4);
      for (const index of missing) refcounts.adopt(index, block([]));
      maxBlocks = Math.max(maxBlocks, refcounts.blocks);
    }
    expect(maxBlocks).toBeLessThanOrEqual(4 + 16);
    expect(space.quarantine.size).toBe(0);
    expect(space.reserve(20)).toEqual(expect.arrayContaining([0]));
  });

  it('gives a longer request a free run that grew, if it grew long enough', () => {
    const { refcounts, metadata } = fullTable(MIB);
    const space = new SpaceAllocator(refcounts, metadata, () => false);
    refcounts.adopt(0, block(Array.from({ length: PER_BLOCK - 50 }, (_, step) => 50 + step)));
    const take = (clusters: number) => {
      expect(space.reserve(clusters)).toBe(null);
      return Array.from({ length: clusters }, () => space.allocate() / CLUSTER)[0];
    };
    const free = (cluster: number) => {
      space.retire({ host: cluster * CLUSTER, length: CLUSTER } as Freed);
      for (const missing of space.release()) throw new Error(`block ${missing[0]} is loaded`);
    };
    expect(take(2)).toBe(50);
    free(10);
    expect(take(2)).toBe(52);
    free(11);
    expect(take(3)).toBe(54);
    expect(take(2)).toBe(10);
    for (const cluster of [22, 20, 21]) free(cluster);
    expect(take(3)).toBe(20);
  });

  it('returns reserved clusters that were not used', () => {
    const { refcounts, metadata } = fullTable(MIB);
    const space = new SpaceAllocator(refcounts, metadata, () => false);
    refcounts.adopt(0, block(Array.from({ length: PER_BLOCK }, (_, step) => step)));
    space.reserve(30);
    expect(space.allocate() / CLUSTER).toBe(0);
    space.reserve(20);
    expect(space.allocate() / CLUSTER).toBe(1);
  });
});
