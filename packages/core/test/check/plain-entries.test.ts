/** The count of plain entries, many at a time, against a count one by one. */
import { describe, expect, test } from 'vitest';
import { ClusterCounts } from '../../src/engine/allocation/cluster-counts.js';
import { countPlainEntries, type PlainFigures } from '../../src/verbs/check/plain-entries.js';
import { numbers } from '../support/numbers.js';

const COPIED = 1n << 63n;
const ENTRIES = 512;
/** Clusters near the borders of pages of counts, of 32 bits of an offset, and of the file. */
const CLUSTERS = 2 ** 24 + 5000;
const STARTS = [
  1,
  3,
  2000,
  4000,
  4090,
  32_760,
  8192,
  2 ** 23 - 100,
  2 ** 24 - 70,
  2 ** 24 + 4096 - 30,
  CLUSTERS - 100,
  CLUSTERS,
];

interface Case {
  readonly table: bigint[];
  readonly refcounts: ReadonlyMap<number, number>;
  readonly references: ReadonlyMap<number, number>;
}

/** Runs of entries with faults here and there; `bits` are those of a cluster. */
function randomCase(seed: number, bits: bigint): Case {
  const next = numbers(seed);
  const table: bigint[] = [];
  const refcounts = new Map<number, number>();
  const references = new Map<number, number>();
  while (table.length < ENTRIES) {
    const copied = next() % 3 === 0 ? 0n : COPIED;
    const usual = copied === 0n && next() % 2 === 0 ? 2 : 1;
    let cluster = STARTS[next() % STARTS.length]! + (next() % 40);
    for (let length = next() % 200; length >= 0 && table.length < ENTRIES; length--) {
      table.push((BigInt(cluster) << bits) | copied);
      if (!refcounts.has(cluster)) refcounts.set(cluster, next() % 400 === 0 ? next() % 4 : usual);
      if (next() % 500 === 0) references.set(cluster, [1, 254, 255, 300][next() % 4]!);
      cluster++;
      // The low word goes on where the high one should have changed.
      const wraps = (BigInt(cluster) << bits) % 2n ** 32n === 0n;
      if (wraps && next() % 2 === 0 && table.length < ENTRIES) {
        table.push(table.at(-1)! & ~0xffff_ffffn);
        break;
      }
    }
    const odd = [0n, 1n, 1n << 57n, 1n << 62n, (1n << (bits - 1n)) | COPIED, COPIED];
    if (next() % 4 === 0 && table.length < ENTRIES) table.push(odd[next() % odd.length]!);
  }
  return { table, refcounts, references };
}

function countsOf(values: ReadonlyMap<number, number>): ClusterCounts {
  const counts = new ClusterCounts(CLUSTERS + 1);
  for (const [cluster, count] of values) if (cluster <= CLUSTERS) counts.set(cluster, count);
  return counts;
}

/** What the specification of the function says, an entry at a time. */
function oneByOne(
  { table, refcounts }: Case,
  references: ClusterCounts,
  from: number,
  bits: bigint,
  maxRefcount: number,
  checkCopied: boolean,
): { at: number; figures: PlainFigures } {
  const figures = { allocated: 0, fragmented: 0, next: 0 };
  for (let index = from; index < table.length; index++) {
    const entry = table[index]!;
    if (entry === 0n) continue;
    const cluster = Number((entry & 0x00ff_ffff_ffff_fe00n) >> bits);
    const plain = (entry & ~((0x00ff_ffff_ffff_ffffn >> bits) << bits) & ~COPIED) === 0n;
    const owned = (entry & COPIED) !== 0n;
    const count = references.get(cluster);
    const refcount = cluster <= CLUSTERS ? (refcounts.get(cluster) ?? 0) : 0;
    const isOdd = !plain || cluster === 0 || cluster >= CLUSTERS || count >= Math.min(maxRefcount, 254);
    if (isOdd || (checkCopied && (refcount === 1) !== owned)) return { at: index, figures };
    references.set(cluster, count + 1);
    figures.allocated++;
    if (figures.next !== 0 && figures.next !== cluster) figures.fragmented++;
    figures.next = cluster + 1;
  }
  return { at: table.length, figures };
}

describe.each([
  ['512 bytes', 9n],
  ['4 KiB', 12n],
  ['64 KiB', 16n],
  ['2 MiB', 21n],
])('plain entries with clusters of %s', (_, bits) => {
  test.each([true, false])('are counted as one by one; COPIED is compared: %s', (checkCopied) => {
    for (let seed = 0; seed < 60; seed++) {
      const random = randomCase(seed, bits);
      const view = new DataView(new ArrayBuffer(ENTRIES * 8));
      random.table.forEach((entry, index) => {
        view.setBigUint64(index * 8, entry);
      });
      const maxRefcount = seed % 5 === 0 ? 1 : 65_535;
      const expected = countsOf(random.references);
      const references = countsOf(random.references);
      const refcounts = countsOf(random.refcounts);
      const counting = { clusterBits: Number(bits), clusters: CLUSTERS, maxRefcount, references, refcounts };
      for (let from = 0; from < ENTRIES; ) {
        const wanted = oneByOne(random, expected, from, bits, maxRefcount, checkCopied);
        const figures = { allocated: 0, fragmented: 0, next: 0 };
        const at = countPlainEntries(view, from * 8, counting, checkCopied, figures);
        expect({ at: at / 8, figures }, `seed ${seed}, from ${from}`).toEqual(wanted);
        from = wanted.at + 1;
      }
      for (const cluster of random.refcounts.keys()) {
        expect(references.get(cluster), `seed ${seed}, cluster ${cluster}`).toBe(expected.get(cluster));
      }
    }
  });
});
