/** The classification of table entries: each fault alone, for the entries that have it, and for those that do not. */
import { describe, expect, test } from 'vitest';
import { getL2Entry } from '../../src/format/entries.js';
import { l2Faults, UNALIGNED, UNREADABLE } from '../../src/format/entry-faults.js';
import { type Geometry, geometryOf } from '../../src/format/geometry.js';
import { refcountTableFaults } from '../../src/format/refcount-table.js';
import { describeAnyFault, faultsIn, l1Faults } from '../../src/format/table-faults.js';

/** The names of the faults, in the order of their bits. */
const NAMES = [
  'compressed-data-file',
  'compressed-offset',
  'zero-flag',
  'subclusters-both',
  'subclusters-nowhere',
  'unaligned',
  'data-file-offset',
  'reserved-bits',
  'copied-compressed',
  'compressed-bitmap',
] as const;
type EntryFault = (typeof NAMES)[number];

const namesOf = (faults: number): EntryFault[] => faultsIn(faults).map((fault) => NAMES[Math.log2(fault)]!);

const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;
const CLUSTER = 0x1_0000n;
/** The guest offset of the cluster that the entries map. */
const GUEST = 0x3_0000;

type Fields = Partial<Parameters<typeof geometryOf>[0]>;
const geometry = (fields: Fields = {}): Geometry =>
  geometryOf({ version: 3, clusterBits: 16, extendedL2: false, externalData: false, ...fields });

/** A table with one entry; `bitmap` is its second half, `zero` in the high word and `allocated` in the low one. */
function tableOf(entry: bigint, bitmap = 0n): DataView {
  const table = new DataView(new ArrayBuffer(16));
  table.setBigUint64(0, entry);
  table.setBigUint64(8, bitmap);
  return table;
}

interface Entry {
  readonly name: string;
  readonly entry: bigint;
  readonly bitmap?: bigint;
  readonly fields?: Fields;
  readonly faults: readonly EntryFault[];
  /** Whether a read refuses it. */
  readonly unreadable?: boolean;
}

const extendedL2 = { extendedL2: true };
const externalData = { externalData: true };

const entries: readonly Entry[] = [
  { name: 'unallocated', entry: 0n, faults: [] },
  { name: 'a data cluster', entry: COPIED | CLUSTER, faults: [] },
  { name: 'a shared data cluster', entry: CLUSTER, faults: [] },
  { name: 'a preallocated zero cluster', entry: COPIED | CLUSTER | 1n, faults: [] },
  { name: 'a compressed cluster', entry: COMPRESSED | 0x12345n, faults: [] },
  { name: 'bit 61', entry: COPIED | CLUSTER | (1n << 61n), faults: ['reserved-bits'] },
  { name: 'bit 56', entry: CLUSTER | (1n << 56n), faults: ['reserved-bits'] },
  { name: 'bit 8', entry: 1n << 8n, faults: ['reserved-bits'] },
  { name: 'bit 1', entry: CLUSTER | 2n, faults: ['reserved-bits'] },
  { name: 'an offset inside a cluster', entry: CLUSTER + 512n, faults: ['unaligned'], unreadable: true },
  { name: 'a zero cluster inside a cluster', entry: CLUSTER + 513n, faults: ['unaligned'], unreadable: true },
  { name: 'zero flag in version 2', entry: 1n, fields: { version: 2 }, faults: ['zero-flag'], unreadable: true },
  { name: 'COPIED, compressed', entry: COPIED | COMPRESSED | CLUSTER, faults: ['copied-compressed'] },
  {
    name: 'compressed beside a data file',
    entry: COMPRESSED | CLUSTER,
    fields: externalData,
    faults: ['compressed-data-file'],
    unreadable: true,
  },
  {
    name: 'compressed past 2^53, with 512-byte clusters',
    entry: COMPRESSED | (1n << 60n),
    fields: { clusterBits: 9 },
    faults: ['compressed-offset'],
    unreadable: true,
  },
  {
    name: 'compressed with a subcluster bitmap',
    entry: COMPRESSED | CLUSTER,
    bitmap: 1n,
    fields: extendedL2,
    faults: ['compressed-bitmap'],
  },
  { name: 'subclusters', entry: COPIED | CLUSTER, bitmap: 0x0000_000f_0000_00f0n, fields: extendedL2, faults: [] },
  { name: 'zero subclusters nowhere', entry: 0n, bitmap: 0xffff_ffff_0000_0000n, fields: extendedL2, faults: [] },
  {
    name: 'a subcluster both allocated and zero',
    entry: CLUSTER,
    bitmap: 0x0000_0001_0000_0001n,
    fields: extendedL2,
    faults: ['subclusters-both'],
    unreadable: true,
  },
  {
    name: 'an allocated subcluster and no cluster',
    entry: 0n,
    bitmap: 1n,
    fields: extendedL2,
    faults: ['subclusters-nowhere'],
    unreadable: true,
  },
  { name: 'a cluster of a data file', entry: COPIED | BigInt(GUEST), fields: externalData, faults: [] },
  { name: 'zeros beside a data file', entry: 1n, fields: externalData, faults: [] },
  { name: 'zeros with COPIED and no offset', entry: COPIED | 1n, fields: externalData, faults: [] },
  {
    name: 'a cluster elsewhere in a data file',
    entry: COPIED | CLUSTER,
    fields: externalData,
    faults: ['data-file-offset'],
    unreadable: true,
  },
  {
    name: 'offset 0 of a data file, for another guest cluster',
    entry: COPIED,
    fields: externalData,
    faults: ['data-file-offset'],
    unreadable: true,
  },
  {
    name: 'several faults, in order',
    entry: (CLUSTER + 512n) | (1n << 58n) | 1n,
    fields: { version: 2 },
    faults: ['zero-flag', 'unaligned', 'reserved-bits'],
    unreadable: true,
  },
];

describe('an L2 entry', () => {
  test.each(entries)('$name: $faults', ({ entry, bitmap, fields, faults, unreadable = false }) => {
    const mask = l2Faults(geometry(fields), tableOf(entry, bitmap), 0, GUEST);
    expect(namesOf(mask)).toEqual(faults);
    expect((mask & UNREADABLE) !== 0).toBe(unreadable);
  });

  test('of zeros with COPIED and no offset has no cluster in a data file, as in QEMU', () => {
    expect(getL2Entry(geometry(externalData), tableOf(COPIED | 1n), 0)).toMatchObject({ kind: 'zero', host: null });
  });
});

describe('an L1 entry', () => {
  test.each([
    [0n, []],
    [COPIED | CLUSTER, []],
    [COMPRESSED | CLUSTER, ['reserved-bits']],
    [CLUSTER | 1n, ['reserved-bits']],
    [CLUSTER + 512n, ['unaligned']],
    [CLUSTER + 513n, ['unaligned', 'reserved-bits']],
  ] as [bigint, EntryFault[]][])('%s: %s', (entry, faults) => {
    const mask = l1Faults(geometry(), tableOf(entry), 0);
    expect(namesOf(mask)).toEqual(faults);
    expect((mask & UNALIGNED) !== 0).toBe(faults.includes('unaligned'));
  });
});

describe('a refcount table entry', () => {
  test.each([
    [0n, []],
    [CLUSTER, []],
    // All bits from 9 on are the offset.
    [COPIED | CLUSTER, []],
    [CLUSTER | 256n, ['reserved-bits']],
    [CLUSTER + 512n, ['unaligned']],
  ] as [bigint, EntryFault[]][])('%s: %s', (entry, faults) => {
    expect(namesOf(refcountTableFaults(Number(CLUSTER), tableOf(entry), 0))).toEqual(faults);
  });
});

test('every fault has a description of its own', () => {
  const texts = faultsIn(2 ** NAMES.length - 1).map((fault) => describeAnyFault(fault, 0x200));
  expect(new Set(texts).size).toBe(NAMES.length);
  for (const text of texts) expect(text).toMatch(/^(has|is|points) /);
});
