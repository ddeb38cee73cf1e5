/** Compares the counted references with the refcounts of the image. */
import { PAGE_MASK } from '../../engine/allocation/cluster-counts.js';
import type { CheckContext } from './check-context.js';
import type { RefcountsOnDisk } from './check-refcounts.js';
import type { Place } from './place.js';

/** A run of clusters with the same refcount and the same number of references, which differ. */
interface Run {
  readonly first: number;
  readonly refcount: number;
  readonly references: number;
  clusters: number;
}

/** Clusters that are compared before other tasks get their turn. They lie in one page of counts. */
const AT_ONCE = 4096;

/** Compares every cluster of the file; returns the end of the last one in use, in bytes. */
export async function compareRefcounts(
  context: CheckContext,
  refcounts: RefcountsOnDisk,
  yieldIfDue: () => Promise<void>,
): Promise<number> {
  const { references, clusters, geometry } = context;
  const comparison = new Comparison(context, refcounts);
  const end = references.get(clusters) > 0 ? clusters + 1 : clusters;
  for (let first = 0; first < end; first += AT_ONCE) {
    const last = Math.min(first + AT_ONCE, end);
    if (!refcounts.readable) comparison.each(first, last);
    else if (references.any(first) || refcounts.counts.any(first)) comparison.words(first, last);
    await yieldIfDue();
    context.signal?.throwIfAborted();
  }
  comparison.finish();
  return (comparison.highest + 1) * geometry.clusterSize;
}

/** A comparison in progress. */
class Comparison {
  /** The highest cluster in use. */
  highest = 0;
  #run: Run | null = null;

  constructor(
    private readonly context: CheckContext,
    private readonly refcounts: RefcountsOnDisk,
  ) {}

  /** Clusters of one page of counts, 32 at a time: nearly all have one reference and a refcount of 1, or neither. */
  words(first: number, last: number): void {
    const references = this.context.references.page(first);
    const refcounts = this.refcounts.counts.page(first);
    let used = -1;
    for (let from = first; from < last; from += 32) {
      const word = (from & PAGE_MASK) >> 5;
      const bits = references.used[word]!;
      if (bits !== refcounts.used[word] || !references.noneAboveOne(word) || !refcounts.noneAboveOne(word)) {
        this.each(from, Math.min(from + 32, last));
      } else if (bits !== 0) used = from;
    }
    // Which of the last 32 is the highest in use.
    if (used >= 0) this.each(used, Math.min(used + 32, last));
  }

  /** Clusters one by one, with any counts. */
  each(first: number, last: number): void {
    const { references } = this.context;
    for (let cluster = first; cluster < last; cluster++) {
      const counted = references.get(cluster);
      const refcount = this.refcounts.get(cluster);
      if (refcount === null) {
        unreadable(this.context, cluster);
        continue;
      }
      if (counted > 0 || refcount > 0) this.highest = Math.max(this.highest, cluster);
      if (refcount < counted && counted > 1) sharedTooLow(this.context, cluster, refcount, counted);
      else if (refcount !== counted) this.#differ(cluster, refcount, counted);
      if (counted > 1 && refcount >= counted) sharedMetadata(this.context, cluster);
    }
  }

  /** Reports the last run. */
  finish(): void {
    if (this.#run !== null) reportRun(this.context, this.#run);
    this.#run = null;
  }

  #differ(cluster: number, refcount: number, references: number): void {
    const run = this.#run;
    const continues = run !== null && run.first + run.clusters === cluster;
    if (continues && run.refcount === refcount && run.references === references) {
      run.clusters++;
      return;
    }
    this.finish();
    this.#run = { first: cluster, refcount, references, clusters: 1 };
  }
}

function reportRun({ findings, geometry }: CheckContext, { first, refcount, references, clusters }: Run): void {
  const place = { what: clusters === 1 ? 'cluster' : `${clusters} clusters`, at: first * geometry.clusterSize };
  const message = () => difference(refcount, references);
  if (refcount < references) findings.add('corruption', 'refcount-low', 'bookkeeping', place, message, clusters);
  else findings.add('leak', 'refcount-high', 'wasted-space', place, message, clusters);
}

function difference(refcount: number, references: number): string {
  const counted = references === 1 ? 'there is 1 reference' : `there are ${references} references`;
  return `The refcount is ${refcount}, and ${counted}.`;
}

function unreadable(context: CheckContext, cluster: number): void {
  const message = () => 'Its refcount block has an invalid offset.';
  context.findings.add('check-error', 'refcount-unreadable', 'bookkeeping', clusterPlace(context, cluster), message);
}

/** What refers to such a cluster shows whether the count is wrong, or the references are. */
function sharedTooLow(context: CheckContext, cluster: number, refcount: number, references: number): void {
  const message = () => difference(refcount, references);
  context.findings.addShared('corruption', 'refcount-low', cluster, clusterPlace(context, cluster), message);
}

/** Several references are valid for clusters that snapshots share, and never for metadata. */
function sharedMetadata(context: CheckContext, cluster: number): void {
  if (!context.sharesMetadata(cluster)) return;
  const message = () => 'It holds metadata and is used for something else as well.';
  context.findings.addShared('extra', 'overlap', cluster, clusterPlace(context, cluster), message);
}

function clusterPlace({ geometry }: CheckContext, cluster: number): Place {
  return { what: 'cluster', at: cluster * geometry.clusterSize };
}
