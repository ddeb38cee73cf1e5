/** Owns the comparison of the references that were counted with the refcounts that the image has. */
import { nextPage } from '../space/cluster-counts.js';
import type { Host } from './check-host.js';
import type { RefcountsOnDisk } from './check-refcounts.js';

/** A run of clusters with the same refcount and the same number of references, which differ. */
interface Run {
  readonly first: number;
  readonly refcount: number;
  readonly references: number;
  clusters: number;
}

/** Compares every cluster of the file; answers where the last one ends that is in use. */
export async function compareRefcounts(
  host: Host,
  refcounts: RefcountsOnDisk,
  turn: () => Promise<void>,
): Promise<number> {
  const { references, clusters, geometry } = host;
  const end = references.get(clusters) > 0 ? clusters + 1 : clusters;
  let highest = 0;
  let run: Run | null = null;
  for (let first = 0; first < end; first = nextPage(first)) {
    const last = Math.min(nextPage(first), end);
    if (!references.any(first) && !refcounts.any(first)) continue;
    for (let cluster = first; cluster < last; cluster++) {
      const counted = references.get(cluster);
      const refcount = refcounts.get(cluster);
      if (refcount === null) {
        unreadable(host, cluster);
        continue;
      }
      if (counted > 0 || refcount > 0) highest = cluster;
      if (counted === refcount) {
        if (counted > 1) shared(host, cluster);
        continue;
      }
      if (run === null || !continues(run, cluster, refcount, counted)) {
        if (run !== null) tell(host, run);
        run = { first: cluster, refcount, references: counted, clusters: 0 };
      }
      run.clusters++;
    }
    await turn();
    host.signal?.throwIfAborted();
  }
  if (run !== null) tell(host, run);
  return (highest + 1) * geometry.clusterSize;
}

function continues(run: Run, cluster: number, refcount: number, references: number): boolean {
  return run.first + run.clusters === cluster && run.refcount === refcount && run.references === references;
}

function tell({ findings, geometry }: Host, { first, refcount, references, clusters }: Run): void {
  const low = refcount < references;
  const place = { what: clusters === 1 ? 'cluster' : `${clusters} clusters`, at: first * geometry.clusterSize };
  const message = () => `The refcount is ${refcount}, and there are ${references} references.`;
  findings.add(low ? 'corruption' : 'leak', low ? 'refcount-low' : 'refcount-high', place, message, clusters);
}

function unreadable({ findings, geometry }: Host, cluster: number): void {
  const place = { what: 'cluster', at: cluster * geometry.clusterSize };
  findings.add('check-error', 'refcount-unreadable', place, () => 'Its refcount block is not where one can be.');
}

/** More than one reference is right for what snapshots share, and never for metadata. */
function shared(host: Host, cluster: number): void {
  if (!host.sharesMetadata(cluster)) return;
  const place = { what: 'cluster', at: cluster * host.geometry.clusterSize };
  host.findings.add('beyond', 'overlap', place, () => 'It holds metadata and is used for something else as well.');
}
