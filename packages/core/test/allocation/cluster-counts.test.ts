/** Counts by cluster, against a map: around the limits of what a bit and a byte hold, and of pages. */
import { expect, test } from 'vitest';
import { ClusterCounts, LARGE_COUNT, PAGE_MASK } from '../../src/engine/allocation/cluster-counts.js';
import { numbers } from '../support/numbers.js';

const PAGE = PAGE_MASK + 1;
const CLUSTERS = 3 * PAGE + 5;
const COUNTS = [0, 1, 2, 3, LARGE_COUNT - 2, LARGE_COUNT - 1, LARGE_COUNT, LARGE_COUNT + 1, 2 ** 40];
const EDGES = [0, 31, 32, PAGE - 1, PAGE, 2 * PAGE + 63, CLUSTERS - 1];

test('counts are what was set and added', () => {
  const next = numbers(5);
  const counts = new ClusterCounts(CLUSTERS);
  const expected = new Map<number, number>();
  for (let step = 0; step < 20_000; step++) {
    const cluster = Math.min(CLUSTERS - 1, EDGES[next() % EDGES.length]! + (next() % 3));
    const before = expected.get(cluster) ?? 0;
    if (next() % 3 === 0) {
      const count = COUNTS[next() % COUNTS.length]!;
      counts.set(cluster, count);
      expected.set(cluster, count);
    } else {
      const max = [1, LARGE_COUNT, 65_535, Number.POSITIVE_INFINITY][next() % 4]!;
      expect(counts.add(cluster, max)).toBe(before < max);
      if (before < max) expected.set(cluster, before + 1);
    }
  }
  for (const [cluster, count] of expected) expect(counts.get(cluster), `cluster ${cluster}`).toBe(count);
  for (const cluster of [40, PAGE + 100, CLUSTERS, CLUSTERS + PAGE]) expect(counts.get(cluster)).toBe(0);
});

test('a page that was never counted in takes no memory', () => {
  const counts = new ClusterCounts(CLUSTERS);
  counts.set(PAGE, 0);
  counts.set(2 * PAGE, 1);
  expect([0, PAGE, 2 * PAGE].map((cluster) => counts.any(cluster))).toEqual([false, false, true]);
});

test('a word of the page tells which of 32 clusters are used, and whether any has a count above 1', () => {
  const counts = new ClusterCounts(CLUSTERS);
  counts.set(33, 1);
  counts.set(63, 2);
  const page = counts.page(0);
  expect(page.used[1]).toBe((1 << 1) | (1 << 31));
  expect([page.noneAboveOne(0), page.noneAboveOne(1)]).toEqual([true, false]);
  counts.set(63, 0);
  expect([page.used[1], page.noneAboveOne(1)]).toEqual([1 << 1, true]);
});
