/** Frees the clusters that are counted and that nothing refers to. */

import { nextPage } from '../../engine/allocation/cluster-counts.js';
import { loadBlockOf } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import type { Writer } from '../../engine/write/writer.js';
import { checkSource } from '../check/check.js';
import { OnlyLeaks } from '../check/verify.js';

/** Clusters that are freed in one slice. */
const CLUSTERS_PER_SLICE = 65_536;

/**
 * Frees all leaks. References are counted while changes wait; a leak stays one, since nothing refers to it.
 *
 * @throws {@link Qcow2Error} `corrupt` when the check finds anything but leaks.
 */
export async function freeLeaks(structure: Structure, writer: Writer): Promise<void> {
  const { layer, signal } = structure;
  const { context, refcounts, report } = await writer.atRest(
    (ending) => checkSource(layer.source, { signal: ending }, new OnlyLeaks(layer.geometry)),
    signal,
  );
  if (report.leaks === 0 || refcounts === null) return;
  for (let cluster = 0; cluster < context.clusters; ) {
    const leaks: number[] = [];
    for (; cluster < context.clusters && leaks.length < CLUSTERS_PER_SLICE; cluster++) {
      if (!refcounts.counts.any(cluster)) cluster = nextPage(cluster) - 1;
      else if (context.references.get(cluster) === 0) {
        if (refcounts.counts.get(cluster) > 0) leaks.push(cluster);
      }
    }
    if (leaks.length > 0) await structure.slice(() => free(structure, leaks));
  }
}

function* free({ state, writes }: Structure, leaks: readonly number[]) {
  yield* writes.mark();
  for (const cluster of leaks) if (yield* loadBlockOf(state, cluster)) state.space.freeLeak(cluster);
}
