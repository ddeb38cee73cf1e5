/** The findings of a check: one for each cause, what it means for the guest, its places, and the ranges of the disk. */
import { describe, expect, test } from 'vitest';
import { bufferSource, type CheckReport, type Finding } from '../../src/index.js';
import { checkSource } from '../../src/verbs/check/check.js';
import { get, put } from '../support/big-endian.js';
import { type BuiltImage, buildImage, type Cell, filled, type ImagePlan } from '../support/image-builder.js';

const CLUSTER = 4096;
const COPIED = 1n << 63n;
const OFFSET = 0x00ff_ffff_ffff_fe00n;
/** Guest bytes that one L2 table maps. */
const TABLE = (CLUSTER / 8) * CLUSTER;
/** A guest cluster in the second L2 table. */
const FAR = 1000;

function image(plan: ImagePlan = {}): BuiltImage {
  const clusters = new Map<number, Cell>([0, 1, 2, 3, FAR].map((index) => [index, filled(index + 1, CLUSTER)]));
  return buildImage({ clusterBits: 12, size: 1024 * CLUSTER, clusters, ...plan });
}

async function check({ bytes }: Pick<BuiltImage, 'bytes'>): Promise<CheckReport> {
  return (await checkSource(bufferSource(bytes))).report;
}

const entry = (built: BuiltImage, cluster: number): bigint => get(built.bytes, built.entryAt(cluster), 8);
const setEntry = (built: BuiltImage, cluster: number, value: bigint) =>
  put(built.bytes, built.entryAt(cluster), 8, value);
const hostOf = (built: BuiltImage, cluster: number): number => Number(entry(built, cluster) & OFFSET);
const guestOf = (cluster: number, count = 1) => ({ start: cluster * CLUSTER, length: count * CLUSTER });

function setRefcount(built: BuiltImage, host: number, count: number): void {
  put(built.bytes, built.refcountBlocks[0]! + (host / CLUSTER) * 2, 2, count);
}

const of = (report: CheckReport, fault: Finding['fault']): Finding[] =>
  report.findings.filter((finding) => finding.fault === fault);

describe('findings', () => {
  test('of one cause are one, with the first places, their ranges merged, and the count of all', async () => {
    const many = new Map<number, Cell>(Array.from({ length: 40 }, (_, index) => [index, filled(1, CLUSTER)]));
    const built = image({ clusters: many });
    for (let index = 0; index < 40; index++) {
      if (index !== 5) setEntry(built, index, entry(built, index) | (1n << 57n));
    }
    const report = await check(built);
    expect(report).toMatchObject({ corruptions: 39, leaks: 0, checkErrors: 0, extra: 0 });
    expect(report.findings).toHaveLength(1);
    const [found] = report.findings;
    expect(found).toMatchObject({ kind: 'corruption', fault: 'reserved-bits', impact: 'data-doubtful', count: 39 });
    expect(found!.places).toHaveLength(16);
    expect(found!.places[5]).toEqual({
      what: 'L2 table 0, entry 6',
      at: built.entryAt(6),
      message: 'It has bits set that must be zero.',
      guest: guestOf(6),
    });
    expect(found!.guest).toEqual([guestOf(0, 5), guestOf(6, 34)]);
  });

  test('of COPIED flags name each place, though entries with the same refcount are counted together', async () => {
    const many = new Map<number, Cell>(Array.from({ length: 1200 }, (_, index) => [index, filled(1, CLUSTER)]));
    const built = image({ size: 2048 * CLUSTER, clusters: many });
    const hosts = Array.from({ length: 1200 }, (_, index) => hostOf(built, index));
    for (let index = 0; index < 1000; index++) setRefcount(built, hosts[index]!, index < 12 ? 2 : 0);
    setEntry(built, 700, entry(built, 700) | (1n << 57n));
    for (const index of [400, 401, 1100, 1101, 1102]) setEntry(built, index, entry(built, index) & ~COPIED);
    const report = await check(built);
    const [set] = of(report, 'copied-set');
    expect(set).toMatchObject({ kind: 'corruption', impact: 'bookkeeping', count: 998 });
    expect(set!.guest).toEqual([guestOf(0, 400), guestOf(402, 598)]);
    expect(set!.places).toEqual(
      Array.from({ length: 16 }, (_, index) => ({
        what: `L2 table 0, entry ${index}`,
        at: built.entryAt(index),
        message: `COPIED is set though the refcount is ${index < 12 ? 2 : 0}.`,
        guest: guestOf(index),
      })),
    );
    const [missing] = of(report, 'copied-missing');
    expect(missing).toMatchObject({ count: 3, guest: [guestOf(1100, 3)] });
    expect(missing!.places.map(({ what }) => what)).toEqual([76, 77, 78].map((index) => `L2 table 2, entry ${index}`));
    expect(report.allocatedClusters).toBe(1200);
    expect(of(report, 'reserved-bits')[0]).toMatchObject({ count: 1 });
    expect(of(report, 'refcount-low')[0]).toMatchObject({ count: 988 });
    expect(of(report, 'refcount-high')[0]).toMatchObject({ count: 12 });
  });

  test('begin with the worst for the guest', async () => {
    const built = image();
    put(built.bytes, built.l1, 8, get(built.bytes, built.l1, 8) & ~COPIED);
    setEntry(built, 1, 0n);
    setEntry(built, 2, entry(built, 2) | (1n << 57n));
    setEntry(built, 10, BigInt(built.bytes.length));
    const report = await check(built);
    expect(report.findings.map(({ fault, impact }) => `${fault}: ${impact}`)).toEqual([
      'past-end: data-missing',
      'reserved-bits: data-doubtful',
      'copied-missing: bookkeeping',
      'refcount-high: wasted-space',
    ]);
    expect(of(report, 'past-end')[0]?.guest).toEqual([guestOf(10)]);
  });

  test('have at most 1,024 ranges, the lowest', async () => {
    const clusters = new Map<number, Cell>();
    for (let index = 6000; index >= 0; index -= 2) clusters.set(index, { kind: 'entry', entry: 1n << 57n });
    const [found] = (await check(image({ size: 8192 * CLUSTER, clusters }))).findings;
    expect(found).toMatchObject({ fault: 'reserved-bits', count: 3001 });
    expect(found!.guest).toEqual(Array.from({ length: 1024 }, (_, index) => guestOf(index * 2)));
  });
});

describe('ranges of the disk', () => {
  test('are a whole table’s for an L1 entry, and end with the disk', async () => {
    const built = image({ size: TABLE + 300 * CLUSTER, clusters: new Map([[TABLE / CLUSTER, filled(1, CLUSTER)]]) });
    put(built.bytes, built.l1 + 8, 8, BigInt(built.bytes.length + CLUSTER) | COPIED);
    const [found] = of(await check(built), 'past-end');
    expect(found).toMatchObject({
      impact: 'data-missing',
      places: [{ what: 'L1 entry 1', guest: { start: TABLE, length: 300 * CLUSTER } }],
      guest: [{ start: TABLE, length: 300 * CLUSTER }],
    });
  });

  test('leave out what lies past the end of the disk, where VM state is', async () => {
    const built = image({ size: 100 * CLUSTER, clusters: new Map([[200, filled(1, CLUSTER)]]) });
    setEntry(built, 200, entry(built, 200) | (1n << 57n));
    const [found] = (await check(built)).findings;
    expect(found).toMatchObject({ fault: 'reserved-bits', guest: [] });
    expect(found!.places[0]).not.toHaveProperty('guest');
  });

  test('are merged whatever the order in which they are found', async () => {
    const built = image();
    setEntry(built, FAR, entry(built, 1));
    setEntry(built, FAR - 1, entry(built, 2));
    expect(of(await check(built), 'refcount-low')[0]?.guest).toEqual([guestOf(1, 2), guestOf(FAR - 1, 2)]);
  });

  test('of a snapshot are in the place, which names it, and not among those of the disk', async () => {
    const built = image({ snapshots: [{ id: '1', name: 'one' }] });
    const l1 = Number(get(built.bytes, built.snapshotTable, 8));
    put(built.bytes, l1, 8, BigInt(built.bytes.length));
    const [found] = of(await check(built), 'past-end');
    expect(found).toMatchObject({
      places: [{ what: 'L1 entry 0 of snapshot 0', at: l1, guest: { start: 0, length: TABLE } }],
      guest: [],
    });
  });
});

test('a bitmap past the end of the file is bookkeeping', async () => {
  const built = image({ bitmaps: [{ name: 'one', flags: 0, bits: null }] });
  const directory = Number(get(built.bytes, built.extensions[0]! + 8 + 16, 8));
  put(built.bytes, Number(get(built.bytes, directory, 8)), 8, built.bytes.length);
  expect(of(await check(built), 'past-end')).toMatchObject([
    { impact: 'bookkeeping', places: [{ what: 'table of bitmap 0, entry 0' }] },
  ]);
});

describe('a cluster with several references', () => {
  test('that two guest clusters use is doubtful, and has both references', async () => {
    const built = image();
    setEntry(built, FAR, entry(built, 1));
    const [found, ...others] = of(await check(built), 'refcount-low');
    expect(others).toEqual([]);
    expect(found).toEqual({
      kind: 'corruption',
      fault: 'refcount-low',
      impact: 'data-doubtful',
      count: 1,
      places: [
        {
          what: 'cluster',
          at: hostOf(built, 1),
          message: 'The refcount is 1, and there are 2 references.',
          references: [
            { what: 'L2 table 0, entry 1', at: built.entryAt(1), guest: guestOf(1) },
            { what: `L2 table 1, entry ${FAR - 512}`, at: built.entryAt(FAR), guest: guestOf(FAR) },
          ],
        },
      ],
      guest: [guestOf(1), guestOf(FAR)],
    });
  });

  test('that guest data and an L2 table use is doubtful, also when its refcount fits or is higher', async () => {
    for (const [refcount, fault] of [
      [1, 'refcount-low'],
      [2, 'overlap'],
      [3, 'overlap'],
    ] as const) {
      const built = image();
      const table = built.entryAt(0);
      setEntry(built, FAR, BigInt(table));
      setRefcount(built, table, refcount);
      const [found] = of(await check(built), fault);
      expect(found, `${refcount}`).toMatchObject({
        impact: 'data-doubtful',
        count: 1,
        places: [{ references: [{ what: 'L1 entry 0' }, { what: `L2 table 1, entry ${FAR - 512}` }] }],
        guest: [{ start: 0, length: TABLE }, guestOf(FAR)],
      });
    }
  });

  test('that a snapshot shares, and that is counted too low, is only counted wrong', async () => {
    const built = image({ snapshots: [{ id: '1', name: 'one' }] });
    setRefcount(built, hostOf(built, 2), 1);
    const [found, ...others] = of(await check(built), 'refcount-low');
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      impact: 'bookkeeping',
      places: [{ references: [{ what: 'L2 table 0, entry 2' }, { what: 'L2 table 0 of snapshot 0, entry 2' }] }],
      guest: [guestOf(2)],
    });
  });

  test('that a snapshot uses for another guest cluster is doubtful; its range is only in the place', async () => {
    const built = image({ snapshots: [{ id: '1', name: 'one' }] });
    const table = built.bytes.slice(built.entryAt(0), built.entryAt(0) + CLUSTER);
    put(table, 3 * 8, 8, entry(built, 1));
    const bytes = new Uint8Array(built.bytes.length + CLUSTER);
    bytes.set(built.bytes);
    bytes.set(table, built.bytes.length);
    const l1 = Number(get(bytes, built.snapshotTable, 8));
    put(bytes, l1, 8, built.bytes.length);
    expect(of(await check({ bytes }), 'refcount-low').map(({ impact, guest }) => [impact, guest])).toEqual([
      ['data-doubtful', [guestOf(1)]],
      ['bookkeeping', []],
    ]);
  });

  test('that compressed clusters share, and that is counted too low, is only counted wrong', async () => {
    const stream = (): Cell => ({ kind: 'compressed', payload: new Uint8Array(300) });
    const built = image({ clusters: new Map([0, 1, 2].map((index) => [index, stream()])) });
    const host = hostOf(built, 0) - (hostOf(built, 0) % CLUSTER);
    setRefcount(built, host, 1);
    expect(of(await check(built), 'refcount-low')).toMatchObject([{ impact: 'bookkeeping', guest: [guestOf(0, 3)] }]);
    setEntry(built, 3, BigInt(host));
    expect(of(await check(built), 'refcount-low')).toMatchObject([{ impact: 'data-doubtful', guest: [guestOf(0, 4)] }]);
  });

  test('that only refcounts use is bookkeeping, and doubtful as soon as guest data is in it', async () => {
    const built = image();
    put(built.bytes, built.refcountTable + 8, 8, built.refcountBlocks[0]!);
    const block = {
      kind: 'corruption',
      fault: 'refcount-block-shared',
      impact: 'bookkeeping',
      places: [{ references: [{ what: 'refcount table entry 0' }, { what: 'refcount table entry 1' }] }],
      guest: [],
    };
    expect(of(await check(built), 'refcount-block-shared')).toMatchObject([block]);
    setEntry(built, 3, BigInt(built.refcountBlocks[0]!));
    expect(of(await check(built), 'refcount-block-shared')).toMatchObject([
      { impact: 'data-doubtful', guest: [guestOf(3)] },
    ]);
  });

  test('has at most eight of them listed', async () => {
    const built = image();
    for (let index = 100; index < 120; index++) setEntry(built, index, entry(built, 1));
    const [found] = of(await check(built), 'refcount-low');
    expect(found?.places[0]?.references).toHaveLength(8);
    expect(found?.places[0]?.message).toContain('21 references');
  });

  test('is a cross-link as well where refcounts have one bit', async () => {
    const built = image({ refcountOrder: 0 });
    setEntry(built, FAR, entry(built, 1));
    setEntry(built, FAR + 1, entry(built, 1));
    expect(of(await check(built), 'refcount-overflow')).toMatchObject([
      { impact: 'data-doubtful', count: 2, guest: [guestOf(1), guestOf(FAR, 2)] },
    ]);
  });

  test('is read about once more, only when there is one', async () => {
    const reads = async (built: BuiltImage) => {
      const source = bufferSource(built.bytes);
      let count = 0;
      await checkSource({
        size: source.size,
        read: (transfers) => {
          count += transfers.length;
          return source.read(transfers);
        },
      });
      return count;
    };
    const sound = await reads(image());
    const shared = image();
    setEntry(shared, FAR, entry(shared, 1));
    expect(sound).toBe(6); // header, refcount table and block, L1 table, two L2 tables
    expect(await reads(shared)).toBe(sound + 3);
  });
});
