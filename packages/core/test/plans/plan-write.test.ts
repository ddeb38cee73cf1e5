/** Plans as data: what a write to given tables comes to, without a device. */
import { describe, expect, it } from 'vitest';
import { clustersNeeded, planWrite } from '../../src/engine/mapping/plan-write.js';
import { planZero } from '../../src/engine/mapping/plan-zero.js';
import { setL2Entry } from '../../src/format/encode-entries.js';
import type { Mapping } from '../../src/format/entries.js';
import { type Geometry, geometryOf } from '../../src/format/geometry.js';

const CLUSTER = 65_536;
const plain = geometryOf({ version: 3, clusterBits: 16, extendedL2: false, externalData: false });
const extended = geometryOf({ version: 3, clusterBits: 17, extendedL2: true, externalData: false });
const external = geometryOf({ version: 3, clusterBits: 16, extendedL2: false, externalData: true });

const host = (cluster: number, size = CLUSTER): number => cluster * size;
const data = (cluster: number, owned = true): Mapping => ({ kind: 'data', host: host(cluster), owned });

function tableOf(geometry: Geometry, entries: Record<number, Mapping>): DataView {
  const table = new DataView(new ArrayBuffer(geometry.clusterSize));
  for (const [index, mapping] of Object.entries(entries)) setL2Entry(geometry, table, Number(index), mapping);
  return table;
}

/** Hands out clusters from 100 on, in a row. */
function plan(
  geometry: Geometry,
  entries: Record<number, Mapping>,
  { offset, length, base = true, end = 0 }: { offset: number; length: number; base?: boolean; end?: number },
) {
  let next = 100;
  const allocator = { allocate: () => host(next++, geometry.clusterSize) };
  const context = { geometry, allocator, base, end, takeBuffer: (bytes: number) => new Uint8Array(bytes).fill(0xee) };
  const held = { first: 0, tables: [tableOf(geometry, entries)] };
  const needed = clustersNeeded(geometry, held, offset, length, end);
  const made = planWrite(context, held, offset, new Uint8Array(length).fill(1));
  expect(made.taken).toHaveLength(needed);
  return {
    transfers: made.transfers.map(({ at, bytes }) => ({ at, length: bytes.length })),
    copies: made.copies.map(({ at, bytes }) => ({ offset: at, length: bytes.length })),
    changes: made.changes,
    freed: made.freed,
    bytes: made.transfers.map(({ bytes }) => bytes),
  };
}

describe('planWrite', () => {
  it('writes 1 MiB of fresh clusters in one transfer of the caller’s own bytes', () => {
    const { transfers, copies, changes, freed } = plan(plain, {}, { offset: 0, length: 16 * CLUSTER });
    expect(transfers).toEqual([{ at: 100 * CLUSTER, length: 16 * CLUSTER }]);
    expect({ copies, freed }).toEqual({ copies: [], freed: [] });
    expect(changes).toHaveLength(16);
    expect(changes[3]).toEqual({ l1Index: 0, index: 3, mapping: data(103) });
  });

  it('overwrites in place, and changes no entry', () => {
    const entries = { 0: data(7), 1: data(8) };
    const { transfers, copies, changes } = plan(plain, entries, {
      offset: CLUSTER - 2048,
      length: 4096,
      end: 9 * CLUSTER,
    });
    expect(transfers).toEqual([{ at: 8 * CLUSTER - 2048, length: 4096 }]);
    expect({ copies, changes }).toEqual({ copies: [], changes: [] });
  });

  it('assembles head and tail with the new bytes into one transfer', () => {
    const shared = { 0: data(7, false) };
    const { transfers, copies, changes, freed } = plan(plain, shared, { offset: 1000, length: 2000 });
    expect(transfers).toEqual([{ at: 100 * CLUSTER, length: CLUSTER }]);
    expect(copies).toEqual([
      { offset: 0, length: 1000 },
      { offset: 3000, length: CLUSTER - 3000 },
    ]);
    expect(freed).toEqual([{ host: 7 * CLUSTER, length: CLUSTER, shared: true }]);
    expect(changes).toEqual([{ l1Index: 0, index: 0, mapping: data(100) }]);
  });

  it('fills head and tail of a new cluster with zeros, unless it is past the end of the file', () => {
    const within = plan(plain, {}, { offset: 1000, length: 2000, end: 200 * CLUSTER });
    expect(within.transfers).toEqual([{ at: 100 * CLUSTER, length: CLUSTER }]);
    expect(within.copies).toEqual([]);
    const [bytes] = within.bytes;
    expect(bytes!.every((byte, at) => byte === (at >= 1000 && at < 3000 ? 1 : 0))).toBe(true);
    const past = plan(plain, {}, { offset: 1000, length: 2000, end: 100 * CLUSTER });
    expect(past.transfers).toEqual([{ at: 100 * CLUSTER + 1000, length: 2000 }]);
  });

  it('copies unallocated bytes from the backing layer, for the first and the last cluster only', () => {
    const { transfers, copies } = plan(plain, {}, { offset: CLUSTER - 100, length: CLUSTER + 300, base: false });
    expect(transfers).toEqual([{ at: 100 * CLUSTER, length: 3 * CLUSTER }]);
    expect(copies).toEqual([
      { offset: 0, length: CLUSTER - 100 },
      { offset: 2 * CLUSTER + 200, length: CLUSTER - 200 },
    ]);
  });

  it('copies only what subclusters require for 4 KiB in a new cluster of 128 KiB', () => {
    const { transfers, copies, changes } = plan(extended, {}, { offset: 8192, length: 4096, base: false });
    expect(transfers).toEqual([{ at: 100 * 2 * CLUSTER + 8192, length: 4096 }]);
    expect(copies).toEqual([]);
    const mapping = { kind: 'subclusters', host: 100 * 2 * CLUSTER, owned: true, allocated: 0b100, zero: 0 };
    expect(changes).toEqual([{ l1Index: 0, index: 0, mapping }]);
  });

  it('copies the allocated subclusters of a shared cluster, and not the others', () => {
    const old: Mapping = {
      kind: 'subclusters',
      host: host(7, 2 * CLUSTER),
      owned: false,
      allocated: 0b1001,
      zero: 0b0010,
    };
    const { copies, changes } = plan(extended, { 0: old }, { offset: 0, length: 4096, base: false });
    expect(copies).toEqual([{ offset: 3 * 4096, length: 4096 }]);
    expect(changes[0]!.mapping).toMatchObject({ allocated: 0b1001, zero: 0b0010, owned: true });
  });

  it('copies nothing of a cluster that is overwritten completely, and frees all clusters of a compressed one', () => {
    const entry: Mapping = { kind: 'compressed', host: 9 * CLUSTER - 700, length: 1212 };
    const { transfers, copies, freed } = plan(plain, { 0: entry }, { offset: 0, length: CLUSTER });
    expect(transfers).toEqual([{ at: 100 * CLUSTER, length: CLUSTER }]);
    expect(copies).toEqual([]);
    expect(freed).toEqual([{ host: 9 * CLUSTER - 700, length: 1212 }]);
  });

  it('writes each cluster of an external data file at its guest offset', () => {
    const { transfers, changes } = plan(external, {}, { offset: 3 * CLUSTER, length: 2 * CLUSTER });
    expect(transfers).toEqual([{ at: 3 * CLUSTER, length: 2 * CLUSTER }]);
    expect(changes.map(({ mapping }) => mapping)).toEqual([data(3), data(4)]);
  });

  it('does not copy a mebibyte to join it with a head', () => {
    const { transfers, copies } = plan(plain, {}, { offset: 512, length: 16 * CLUSTER, base: false });
    expect(transfers.length).toBeGreaterThan(1);
    expect(transfers.reduce((sum, { length }) => sum + length, 0)).toBe(17 * CLUSTER);
    expect(copies.reduce((sum, { length }) => sum + length, 0)).toBe(CLUSTER);
  });

  it.each([
    ['an unaligned cluster', { kind: 'data', host: 512, owned: true }],
    ['a cluster past the end of the file', { kind: 'data', host: 2 ** 40, owned: true }],
    ['a compressed stream past 2^53', { kind: 'compressed', host: 2 ** 53, length: 512 }],
  ] as [string, Mapping][])('refuses %s before anything is allocated', (_, mapping) => {
    const held = { first: 0, tables: [tableOf(plain, { 1: mapping })] };
    expect(() => clustersNeeded(plain, held, 0, 2 * CLUSTER, 2 ** 30)).toThrow(
      expect.objectContaining({ code: 'corrupt' }),
    );
  });
});

describe('planZero', () => {
  const zero = (geometry: Geometry, entries: Record<number, Mapping>, unmap: boolean, base = true, end = CLUSTER * 4) =>
    planZero({ geometry, base, unmap }, 0, tableOf(geometry, entries), 0, end);

  it('frees clusters, or keeps them allocated', () => {
    const entries = { 0: data(5), 1: data(6, false) };
    expect(zero(plain, entries, true)).toEqual({
      changes: [0, 1].map((index) => ({ l1Index: 0, index, mapping: { kind: 'zero', host: null, owned: false } })),
      freed: [
        { host: host(5), length: CLUSTER },
        { host: host(6), length: CLUSTER, shared: true },
      ],
      written: [],
    });
    expect(zero(plain, entries, false)).toMatchObject({
      changes: [
        { mapping: { kind: 'zero', host: host(5), owned: true } },
        { mapping: { host: host(6), owned: false } },
      ],
      freed: [],
    });
  });

  it('changes nothing in unallocated clusters, unless there is a backing file', () => {
    expect(zero(plain, {}, true)).toEqual({ changes: [], freed: [], written: [] });
    expect(zero(plain, {}, true, false).changes).toHaveLength(4);
  });

  it('writes the zeros of a part of a compressed cluster with subclusters', () => {
    const entries: Record<number, Mapping> = { 0: { kind: 'compressed', host: host(9), length: 1024 } };
    expect(zero(extended, entries, true, true, 4096)).toEqual({
      changes: [],
      freed: [],
      written: [{ start: 0, end: 4096 }],
    });
    expect(zero(extended, entries, true, true, 2 * CLUSTER).freed).toEqual([{ host: host(9), length: 1024 }]);
  });

  it('keeps a cluster that still has allocated subclusters', () => {
    const old: Mapping = { kind: 'subclusters', host: host(8, 2 * CLUSTER), owned: true, allocated: 0b11, zero: 0 };
    const one = zero(extended, { 0: old }, true, true, 4096);
    expect(one.changes[0]!.mapping).toMatchObject({ host: host(8, 2 * CLUSTER), allocated: 0b10, zero: 0b01 });
    expect(one.freed).toEqual([]);
    expect(zero(extended, { 0: old }, true, true, 8192).freed).toHaveLength(1);
  });
});
