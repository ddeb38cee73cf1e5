/** Plans as data: what a read of given tables comes to, without a device. */
import { describe, expect, it } from 'vitest';
import { emptyPlan, planRead, type ReadPlan } from '../../src/engine/mapping/plan-read.js';
import { setL2Entry } from '../../src/format/encode-entries.js';
import type { Mapping } from '../../src/format/entries.js';
import { type Geometry, geometryOf } from '../../src/format/geometry.js';

const CLUSTER = 65_536;
const plain = geometryOf({ version: 3, clusterBits: 16, extendedL2: false, externalData: false });
const extended = geometryOf({ version: 3, clusterBits: 16, extendedL2: true, externalData: false });

const host = (cluster: number): number => cluster * CLUSTER;
const data = (cluster: number): Mapping => ({ kind: 'data', host: host(cluster), owned: true });

function tableOf(geometry: Geometry, entries: Record<number, Mapping>): DataView {
  const table = new DataView(new ArrayBuffer(geometry.clusterSize));
  for (const [index, mapping] of Object.entries(entries)) setL2Entry(geometry, table, Number(index), mapping);
  return table;
}

function plan(geometry: Geometry, tables: (DataView | null)[], offset: number, length: number): ReadPlan {
  const result = emptyPlan();
  planRead(geometry, tables, { at: offset, bytes: new Uint8Array(length) }, result);
  return result;
}

/** A plan with its buffers told as places in the request. */
function summary({ transfers, compressed, zeros, unallocated }: ReadPlan) {
  return {
    transfers: transfers.map(({ at, bytes }) => ({ at, from: bytes.byteOffset, length: bytes.length })),
    compressed: compressed.map(({ host, stored, skip, into }) => ({ host, stored, skip, from: into.byteOffset })),
    zeros: zeros.map((bytes) => ({ from: bytes.byteOffset, length: bytes.length })),
    unallocated: unallocated.map(({ at, bytes }) => ({ offset: at, from: bytes.byteOffset, length: bytes.length })),
  };
}

describe('planRead', () => {
  it('makes one transfer of 16 adjacent clusters', () => {
    const entries = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [index, data(100 + index)]));
    const result = summary(plan(plain, [tableOf(plain, entries)], 0, 16 * CLUSTER));
    expect(result).toEqual({
      transfers: [{ at: 100 * CLUSTER, from: 0, length: 16 * CLUSTER }],
      compressed: [],
      zeros: [],
      unallocated: [],
    });
  });

  it('begins and ends inside clusters', () => {
    const result = summary(plan(plain, [tableOf(plain, { 3: data(9), 4: data(7) })], 3 * CLUSTER + 1000, CLUSTER));
    expect(result.transfers).toEqual([
      { at: 9 * CLUSTER + 1000, from: 0, length: CLUSTER - 1000 },
      { at: 7 * CLUSTER, from: CLUSTER - 1000, length: 1000 },
    ]);
  });

  it('merges across the border of two tables', () => {
    const last = plain.l2Entries - 1;
    const tables = [tableOf(plain, { [last]: data(20) }), tableOf(plain, { 0: data(21), 1: data(22) })];
    const result = summary(plan(plain, tables, last * CLUSTER, 3 * CLUSTER));
    expect(result.transfers).toEqual([{ at: 20 * CLUSTER, from: 0, length: 3 * CLUSTER }]);
  });

  it('distinguishes zeros, holes, data and compressed clusters', () => {
    const table = tableOf(plain, {
      0: { kind: 'zero', host: null, owned: false },
      1: { kind: 'zero', host: host(5), owned: false },
      3: data(6),
      4: { kind: 'compressed', host: 7 * CLUSTER + 100, length: 924 },
    });
    expect(summary(plan(plain, [table], 0, 6 * CLUSTER))).toEqual({
      transfers: [{ at: 6 * CLUSTER, from: 3 * CLUSTER, length: CLUSTER }],
      compressed: [{ host: 7 * CLUSTER + 100, stored: 924, skip: 0, from: 4 * CLUSTER }],
      zeros: [{ from: 0, length: 2 * CLUSTER }],
      unallocated: [
        { offset: 2 * CLUSTER, from: 2 * CLUSTER, length: CLUSTER },
        { offset: 5 * CLUSTER, from: 5 * CLUSTER, length: CLUSTER },
      ],
    });
  });

  it('reads the middle of a compressed cluster', () => {
    const table = tableOf(plain, { 0: { kind: 'compressed', host: 512, length: 512 } });
    expect(summary(plan(plain, [table], 4096, 100)).compressed).toEqual([
      { host: 512, stored: 512, skip: 4096, from: 0 },
    ]);
  });

  it('plans one hole where there is no table', () => {
    const length = 3 * CLUSTER;
    expect(summary(plan(plain, [null], 8 * CLUSTER, length)).unallocated).toEqual([
      { offset: 8 * CLUSTER, from: 0, length },
    ]);
  });

  it('reads subclusters, and merges across the border of adjacent clusters', () => {
    const sub = extended.subclusterSize;
    const subclusters = (cluster: number, allocated: number, zero: number): Mapping => {
      return { kind: 'subclusters', host: host(cluster), owned: false, allocated, zero };
    };
    // Cluster 0: 4 subclusters zero, 4 nowhere, 24 data; cluster 1 right behind it: all data.
    const table = tableOf(extended, {
      0: subclusters(10, 0xffffff00, 0x0000000f),
      1: subclusters(11, 0xffffffff, 0),
    });
    expect(summary(plan(extended, [table], 0, 2 * CLUSTER))).toEqual({
      transfers: [{ at: 10 * CLUSTER + 8 * sub, from: 8 * sub, length: 56 * sub }],
      compressed: [],
      zeros: [{ from: 0, length: 4 * sub }],
      unallocated: [{ offset: 4 * sub, from: 4 * sub, length: 4 * sub }],
    });
  });

  it.each([
    ['a subcluster that is allocated and zero', { allocated: 1, zero: 1 }, host(3)],
    ['an allocated subcluster without a cluster', { allocated: 2, zero: 0 }, null],
  ])('refuses %s', (_, words, place) => {
    const table = tableOf(extended, { 0: { kind: 'subclusters', host: place, owned: false, ...words } });
    expect(() => plan(extended, [table], 0, 10)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });

  it('refuses an unaligned cluster, naming the entry and the guest offset', () => {
    const table = tableOf(plain, { 2: { kind: 'data', host: 512, owned: true } });
    expect(() => plan(plain, [table], 2 * CLUSTER, 10)).toThrow(
      expect.objectContaining({ code: 'corrupt', details: { what: 'L2 entry', at: 16, guest: 2 * CLUSTER } }),
    );
  });

  it('refuses the zero flag in version 2', () => {
    const old = geometryOf({ version: 2, clusterBits: 16, extendedL2: false, externalData: false });
    const table = tableOf(old, { 0: { kind: 'zero', host: null, owned: false } });
    expect(() => plan(old, [table], 0, 10)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });
});
