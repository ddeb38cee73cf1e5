/** The cache of L2 tables: each is loaded once, many in one batch, and dropped only when it is as on the medium. */
import { describe, expect, it } from 'vitest';
import { type Counters, newCounters } from '../../src/engine/layer/counting-source.js';
import { TableCache } from '../../src/engine/layer/table-cache.js';
import { WrittenTables } from '../../src/engine/write/written-tables.js';
import { geometryOf } from '../../src/format/geometry.js';
import { put } from '../support/big-endian.js';
import { deferred } from '../support/deferred.js';
import { RecordingSource } from '../support/recording-source.js';

const CLUSTER = 512;
const TABLES = 20;
const geometry = geometryOf({ version: 3, clusterBits: 9, extendedL2: false, externalData: false });

/** Where the table of an L1 entry lies; entry 3 has none. */
const offsetOf = (index: number): number => (index + 1) * CLUSTER;
const EMPTY = 3;

/** A file of tables, each filled with its own index, and an L1 table that leads to them. */
function made(options: { asynchronous?: boolean; budget?: number } = {}) {
  const bytes = new Uint8Array((TABLES + 1) * CLUSTER);
  const l1 = new DataView(new ArrayBuffer(TABLES * 8));
  for (let index = 0; index < TABLES; index++) {
    bytes.fill(index, offsetOf(index), offsetOf(index) + CLUSTER);
    if (index !== EMPTY) put(new Uint8Array(l1.buffer), index * 8, 8, offsetOf(index));
  }
  const source = new RecordingSource(bytes, { asynchronous: options.asynchronous ?? false });
  const counters: Counters = newCounters();
  const cache = new WrittenTables({ geometry, source, l1, budget: options.budget ?? TABLES * CLUSTER, counters });
  return { cache, source, l1, counters };
}

const one = (index: number) => [{ first: index, last: index }];
const first = (table: DataView | null | undefined): number | undefined => table?.getUint8(0);

/** Loads one table from a source that does not wait. */
function load(cache: TableCache, index: number): DataView {
  const { tables, loading } = cache.acquire(one(index));
  expect(loading).toBeUndefined();
  return tables[0]![0]!;
}

/** Which of the tables are in memory. */
const inMemory = (cache: TableCache): number[] =>
  Array.from({ length: TABLES }, (_, index) => index).filter((index) => cache.peek(index) instanceof DataView);

describe('acquiring', () => {
  it('nothing, and entries without a table, reads nothing', () => {
    const { cache, source } = made();
    expect(cache.acquire([])).toEqual({ tables: [], loading: undefined });
    expect(cache.acquire(one(EMPTY))).toEqual({ tables: [[null]], loading: undefined });
    expect(cache.acquire(one(TABLES + 5))).toEqual({ tables: [[null]], loading: undefined });
    expect(source.calls).toEqual([]);
    expect([cache.has(0), cache.has(EMPTY), cache.has(TABLES)]).toEqual([true, false, false]);
  });

  it.each([false, true])(
    'several ranges loads their tables in one batch, each once; asynchronous: %s',
    async (asynchronous) => {
      const { cache, source, counters } = made({ asynchronous });
      const ranges = [
        { first: 2, last: 4 },
        { first: 4, last: 5 },
      ];
      const { tables, loading } = cache.acquire(ranges);
      expect(loading === undefined).toBe(!asynchronous);
      await loading;
      expect(tables.map((range) => range.map(first))).toEqual([
        [2, undefined, 4],
        [4, 5],
      ]);
      expect(source.calls).toEqual([[2, 4, 5].map((index) => ({ at: offsetOf(index), length: CLUSTER }))]);
      expect(counters.l2Loads).toBe(3);
      const again = cache.acquire(ranges);
      expect(again.loading).toBeUndefined();
      expect(again.tables).toEqual(tables);
      expect(source.calls).toHaveLength(1);
    },
  );

  it('only what is not in memory is loaded', () => {
    const { cache, source } = made();
    load(cache, 1);
    const { tables } = cache.acquire([{ first: 0, last: 2 }]);
    expect(tables[0]!.map(first)).toEqual([0, 1, 2]);
    expect(source.calls[1]!.map(({ at }) => at)).toEqual([offsetOf(0), offsetOf(2)]);
  });

  it('refuses an entry that points into a cluster', () => {
    const { source, l1 } = made();
    const coarse = geometryOf({ version: 3, clusterBits: 10, extendedL2: false, externalData: false });
    const cache = new TableCache({ geometry: coarse, source, l1, budget: 0, counters: newCounters() });
    const details = { what: 'L2 table 0', at: offsetOf(0) };
    expect(() => cache.acquire(one(0))).toThrow(expect.objectContaining({ code: 'corrupt', details }));
    expect(() => cache.acquire(one(0))).toThrow(/not a multiple of the cluster size/);
    expect(source.calls).toEqual([]);
  });

  it('refuses an entry that points to the end of the file, before anything is loaded', () => {
    const { cache, source, l1 } = made();
    put(new Uint8Array(l1.buffer), 8, 8, source.size);
    const details = { what: 'L2 table 1', at: source.size };
    const acquire = () => cache.acquire([{ first: 0, last: 1 }]);
    expect(acquire).toThrow(expect.objectContaining({ code: 'corrupt', details }));
    expect(acquire).toThrow(/the file ends at/);
    expect(source.calls).toEqual([]);
    expect(cache.peek(0)).toBeUndefined();
  });
});

describe('a load in flight', () => {
  it('is shared, also by a request for more, which loads the rest', async () => {
    const { cache, source, counters } = made({ asynchronous: true });
    const requests = [cache.acquire(one(1)), cache.acquire(one(1)), cache.acquire([{ first: 0, last: 2 }])];
    for (const { loading } of requests) await loading;
    const [a, b, c] = requests.map(({ tables }) => tables[0]!);
    expect(a![0]).toBe(b![0]);
    expect(c![1]).toBe(a![0]);
    expect(c!.map(first)).toEqual([0, 1, 2]);
    expect(source.calls.map((call) => call.map(({ at }) => at))).toEqual([[offsetOf(1)], [offsetOf(0), offsetOf(2)]]);
    expect(counters.l2Loads).toBe(3);
  });

  it('outlives the request that aborts, and serves the others', async () => {
    const { cache, source } = made({ asynchronous: true });
    const gate = deferred();
    source.gate = gate.promise;
    const controller = new AbortController();
    const aborted = cache.acquire(one(1), controller.signal);
    const other = cache.acquire(one(1));
    controller.abort('enough');
    await expect(aborted.loading).rejects.toBe('enough');
    const late = cache.acquire(one(1));
    gate.resolve();
    await Promise.all([other.loading, late.loading]);
    expect([other, late].map(({ tables }) => first(tables[0]![0]))).toEqual([1, 1]);
    expect(source.calls).toHaveLength(1);
    expect(first(cache.peek(1))).toBe(1);
  });

  it('whose only request aborts still caches its table', async () => {
    const { cache, source } = made({ asynchronous: true });
    const gate = deferred();
    source.gate = gate.promise;
    const { loading } = cache.acquire(one(1), AbortSignal.abort('before'));
    await expect(loading).rejects.toBe('before');
    gate.resolve();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(first(cache.peek(1))).toBe(1);
  });

  it('that fails fails every request, and the next one loads again', async () => {
    const { cache, source, counters } = made({ asynchronous: true });
    const gate = deferred();
    source.gate = gate.promise;
    const requests = [cache.acquire(one(1)), cache.acquire([{ first: 1, last: 1 }])];
    const error = new Error('no');
    const failed = requests.map(({ loading }) => expect(loading).rejects.toBe(error));
    gate.reject(error);
    await Promise.all(failed);
    expect(cache.peek(1)).toBeUndefined();
    expect(counters.l2Loads).toBe(0);
    source.gate = null;
    const again = cache.acquire(one(1));
    await again.loading;
    expect(first(again.tables[0]![0])).toBe(1);
  });

  it('that throws synchronously leaves no state', () => {
    const { cache, source } = made();
    source.failure = new Error('no');
    expect(() => cache.acquire(one(1))).toThrow('no');
    source.failure = null;
    expect(first(load(cache, 1))).toBe(1);
  });
});

describe('the budget', () => {
  it.each([
    ['at least four', 0, 4],
    ['as many as its budget', 10 * CLUSTER, 10],
  ])('bounds the tables: %s', (_, budget, max) => {
    const { cache } = made({ budget });
    for (let index = 0; index < TABLES; index++) if (index !== EMPTY) load(cache, index);
    expect(inMemory(cache).length).toBeLessThanOrEqual(max);
    expect(inMemory(cache)).toContain(TABLES - 1);
  });

  it('evicts the least recently used table', () => {
    const { cache } = made({ budget: 4 * CLUSTER });
    for (const index of [0, 1, 2, 4]) load(cache, index);
    cache.peek(0);
    load(cache, 5);
    expect(inMemory(cache)).toEqual([0, 2, 4, 5]);
    load(cache, 2);
    load(cache, 6);
    expect(inMemory(cache)).not.toContain(0);
  });

  it('is that of the cache over another L1 table, which shares no table', () => {
    const { cache, source } = made({ budget: 6 * CLUSTER });
    const l1 = new DataView(new ArrayBuffer(16));
    put(new Uint8Array(l1.buffer), 8, 8, offsetOf(7));
    const other = cache.forL1Table(l1);
    expect(other.l1Size).toBe(2);
    expect(first(load(other, 1))).toBe(7);
    expect(cache.peek(7)).toBeUndefined();
    load(cache, 7);
    expect(source.calls).toHaveLength(2);
  });
});

describe('a pinned table', () => {
  const view = (): DataView => {
    const table = new DataView(new ArrayBuffer(CLUSTER));
    table.setUint8(0, 99);
    return table;
  };

  it('is not loaded, is never evicted, and counts in the budget', () => {
    const { cache, source } = made({ budget: 10 * CLUSTER });
    const tables = [0, 1].map((index) => {
      const table = view();
      cache.pin(offsetOf(index), table);
      return table;
    });
    for (let index = 4; index < TABLES; index++) load(cache, index);
    expect(source.calls.flat().map(({ at }) => at)).not.toContain(offsetOf(0));
    expect([cache.peek(0), cache.peek(1)]).toEqual(tables);
    expect(inMemory(cache).length).toBeLessThanOrEqual(10);
  });

  it('replaces the one that was loaded', () => {
    const { cache } = made();
    load(cache, 1);
    const changed = view();
    cache.pin(offsetOf(1), changed);
    expect(cache.peek(1)).toBe(changed);
    expect(load(cache, 1)).toBe(changed);
  });

  it('may be evicted once it is unpinned', () => {
    const { cache, source } = made({ budget: 4 * CLUSTER });
    const table = view();
    cache.pin(offsetOf(0), table);
    cache.unpin(offsetOf(0));
    expect(cache.peek(0)).toBe(table);
    for (let index = 4; index < 9; index++) load(cache, index);
    expect(cache.peek(0)).toBeUndefined();
    expect(first(load(cache, 0))).toBe(0);
    expect(source.calls.at(-1)).toEqual([{ at: offsetOf(0), length: CLUSTER }]);
  });

  it('that was never pinned can be unpinned', () => {
    const { cache } = made();
    cache.unpin(offsetOf(0));
    expect(cache.peek(0)).toBeUndefined();
  });
});
