/** Counts the entries of L2 tables that nearly all of a disk has: unallocated ones, and valid data clusters. */
import {
  type ClusterCounts,
  FOUR_ONES,
  LARGE_COUNT,
  PAGE_MASK,
  wordsOf,
} from '../../engine/allocation/cluster-counts.js';
import { PLAIN_HIGH } from '../../format/plain-entries.js';

/** What plain entries are counted in. */
export interface PlainCounting {
  readonly clusterBits: number;
  /** Clusters of the file. */
  readonly clusters: number;
  /** The highest refcount. */
  readonly maxRefcount: number;
  readonly references: ClusterCounts;
  readonly refcounts: ClusterCounts;
}

/** Figures of one L2 table. */
export interface PlainFigures {
  allocated: number;
  fragmented: number;
  /** The cluster that would follow the last entry's without a gap; 0 before the first. */
  next: number;
}

/** Bytes of an entry. */
const ENTRY = 8;
/** No page of counts. */
const NO_COUNTS: Uint8Array = new Uint8Array(0);
/** The longest run that is searched at once. Where every other entry is damaged, each of the others searches anew. */
const MAX_RUN = 512;
/** Clusters from which on it pays to count four at a time. */
const LONG_RUN = 64;

/**
 * Counts the entries from the byte `from` of a table on, without a call for each, and adds them to `figures`. With
 * `checkCopied`, COPIED must be as the refcount says. Returns the byte offset of the first entry that is not plain,
 * or the table's end.
 */
export function countPlainEntries(
  table: DataView,
  from: number,
  { clusterBits, clusters, maxRefcount, references, refcounts }: PlainCounting,
  checkCopied: boolean,
  figures: PlainFigures,
): number {
  // In locals: imports and fields would be looked up for every entry. As 32-bit integers: doubles take twice as long.
  const { flags, copied, offset } = PLAIN_HIGH;
  const mask = PAGE_MASK;
  const clusterSize = 1 << clusterBits;
  const inCluster = clusterSize - 1;
  const clustersPerWord = 2 ** (32 - clusterBits);
  const full = Math.min(maxRefcount, LARGE_COUNT - 1) | 0;
  const end = table.byteLength;
  let { allocated, fragmented, next } = figures;
  let page = -1;
  let referencePage = NO_COUNTS;
  let refcountPage = NO_COUNTS;
  let at = from;
  while (at < end) {
    const high = table.getInt32(at);
    const low = table.getInt32(at + 4);
    if (high === 0 && low === 0) {
      at += ENTRY;
      continue;
    }
    if ((high & flags) !== 0 || (low & inCluster) !== 0) break;
    const cluster = (high & offset) * clustersPerWord + (low >>> clusterBits);
    if (cluster === 0 || cluster >= clusters) break;
    const index = cluster & mask;
    if (cluster - index !== page) {
      page = cluster - index;
      referencePage = references.page(cluster);
      refcountPage = refcounts.page(cluster);
    }
    const owned = checkCopied ? (high & copied) !== 0 : null;
    if (!isPlain(referencePage[index]!, refcountPage[index]!, full, owned)) break;
    // The entries that continue this one, in one page of counts.
    const maxRun = Math.min(MAX_RUN, mask + 1 - index, clusters - cluster);
    const limit = Math.min(end, at + ENTRY * maxRun) | 0;
    let follows = at + ENTRY;
    // At 0 the offset goes on in the high word.
    for (
      let nextLow = (low + clusterSize) | 0;
      follows < limit && nextLow !== 0;
      nextLow = (nextLow + clusterSize) | 0
    ) {
      if (table.getInt32(follows + 4) !== nextLow || table.getInt32(follows) !== high) break;
      follows += ENTRY;
    }
    const run = (follows - at) >> 3;
    const counted = countRun(referencePage, refcountPage, index, run, full, owned);
    if (counted > 0) {
      allocated += counted;
      if (next !== 0 && next !== cluster) fragmented++;
      next = cluster + counted;
      at += counted * ENTRY;
    }
    if (counted < run) break;
  }
  figures.allocated = allocated;
  figures.fragmented = fragmented;
  figures.next = next;
  return at;
}

/**
 * Counts a reference to each of `run` clusters, up to the first whose count is `full` or whose refcount does not fit
 * `owned`, unless that is null. Returns how many were counted.
 */
function countRun(
  references: Uint8Array,
  refcounts: Uint8Array,
  first: number,
  run: number,
  full: number,
  owned: boolean | null,
): number {
  const end = first + run;
  let at = first;
  if (run >= LONG_RUN && owned !== false) {
    while ((at & 3) !== 0 && countOne(references, refcounts, at, full, owned)) at++;
    if ((at & 3) === 0) at += countFirst(wordsOf(references), wordsOf(refcounts), at >> 2, end >> 2) << 2;
  }
  while (at < end && countOne(references, refcounts, at, full, owned)) at++;
  return at - first;
}

function countOne(
  references: Uint8Array,
  refcounts: Uint8Array,
  at: number,
  full: number,
  owned: boolean | null,
): boolean {
  if (!isPlain(references[at]!, refcounts[at]!, full, owned)) return false;
  references[at]!++;
  return true;
}

/** True if a cluster can be counted once more, and its refcount fits COPIED. */
function isPlain(count: number, refcount: number, full: number, owned: boolean | null): boolean {
  return count < full && (owned === null || (refcount === 1) === owned);
}

/** Counts the first reference to clusters whose refcount is 1, four at a time. Returns how many fours were counted. */
function countFirst(references: Int32Array, refcounts: Int32Array, from: number, to: number): number {
  let at = from;
  while (at < to && references[at] === 0 && refcounts[at] === FOUR_ONES) references[at++] = FOUR_ONES;
  return at - from;
}
