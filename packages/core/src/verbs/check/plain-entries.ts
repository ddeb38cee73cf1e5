/** Counts the entries of L2 tables that nearly all of a disk has: unallocated ones, and valid data clusters. */
import { type ClusterCounts, CountPage, LARGE_COUNT, PAGE_MASK } from '../../engine/allocation/cluster-counts.js';
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
const NO_COUNTS = new CountPage();
/** The longest run that is searched at once. Where every other entry is damaged, each of the others searches anew. */
const MAX_RUN = 512;

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
    if (!isPlain(referencePage.get(index), refcountPage, index, full, owned)) break;
    const maxRun = Math.min(MAX_RUN, mask + 1 - index, clusters - cluster);
    const run = (runEnd(table, at, Math.min(end, at + ENTRY * maxRun), clusterSize) - at) >> 3;
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
 * Returns the byte after the entries from the byte `from` on whose clusters follow each other. In a function of its
 * own: a small one is compiled early, so that a first check has fast code from its first tables on.
 */
function runEnd(table: DataView, from: number, limit: number, clusterSize: number): number {
  const high = table.getInt32(from);
  let low = table.getInt32(from + 4);
  let at = from;
  do {
    at += ENTRY;
    low = (low + clusterSize) | 0;
    // At 0 the offset goes on in the high word.
  } while (at < limit && table.getInt32(at + 4) === low && table.getInt32(at) === high && low !== 0);
  return at;
}

/**
 * Counts a reference to each of `run` clusters, up to the first whose count is `full` or whose refcount does not fit
 * `owned`, unless that is null. Returns how many were counted.
 */
function countRun(
  references: CountPage,
  refcounts: CountPage,
  first: number,
  run: number,
  full: number,
  owned: boolean | null,
): number {
  const end = first + run;
  for (let at = first; at < end; ) {
    // The bits of the run in one word.
    const next = Math.min(end, (at | 31) + 1);
    const bits = (-1 << (at & 31)) & (-1 >>> (-next & 31));
    if (areFirst(references, refcounts, at >> 5, bits, owned)) {
      references.used[at >> 5]! |= bits;
      at = next;
    }
    for (; at < next; at++) {
      const count = references.get(at);
      if (!isPlain(count, refcounts, at, full, owned)) return at - first;
      references.set(at, count + 1);
    }
  }
  return run;
}

/** True if a cluster can be counted once more, and its refcount fits COPIED. */
function isPlain(count: number, refcounts: CountPage, index: number, full: number, owned: boolean | null): boolean {
  return count < full && (owned === null || (refcounts.get(index) === 1) === owned);
}

/** True if none of the clusters of these bits has a reference so far, and nearly always if their refcounts fit. */
function areFirst(
  references: CountPage,
  refcounts: CountPage,
  word: number,
  bits: number,
  owned: boolean | null,
): boolean {
  if ((references.used[word]! & bits) !== 0 || owned === false) return false;
  return owned === null || ((refcounts.used[word]! & bits) === bits && refcounts.noneAboveOne(word));
}
