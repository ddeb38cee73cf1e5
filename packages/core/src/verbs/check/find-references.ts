/** Finds what refers to the clusters with several references: the references are counted once more, and watched. */
import { LARGE_COUNT } from '../../engine/allocation/cluster-counts.js';
import { CheckContext } from './check-context.js';
import { type Counting, countReferences } from './count-references.js';
import { NoFindings } from './no-findings.js';
import type { Place, Use } from './place.js';
import type { SharedClusters } from './shared-clusters.js';

/** Adds to each of the `shared` clusters what refers to it. */
export async function findReferences(context: CheckContext, counting: Counting, shared: SharedClusters): Promise<void> {
  await countReferences(new Watch(context, shared), counting, 'references');
}

/** A context that records references to some clusters, and counts none. */
class Watch extends CheckContext {
  readonly #shared: SharedClusters;

  constructor(
    { source, header, geometry, fileSize, signal, clusters, references }: CheckContext,
    shared: SharedClusters,
  ) {
    super(source, header, geometry, fileSize, new NoFindings(), signal);
    this.#shared = shared;
    // The loops over plain entries leave out clusters whose count is at its limit: these are passed to `refer`.
    for (const cluster of shared.numbers()) this.references.set(cluster, LARGE_COUNT - 1);
    this.references.set(clusters, references.get(clusters));
  }

  override refer(offset: number, length: number, use: Use, place: () => Place): void {
    const { clusterSize } = this.geometry;
    if (length <= 0 || this.isPastEnd(offset, length)) return;
    const last = Math.floor((offset + length - 1) / clusterSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster++) {
      this.#shared.get(cluster)?.add(use, place());
    }
  }
}
