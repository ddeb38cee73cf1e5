/** Frees the clusters that are counted and that nothing refers to, and lowers other refcounts that are too high. */

import { nextPage } from '../../engine/allocation/cluster-counts.js';
import type { Steps } from '../../engine/async/steps.js';
import { loadBlockOf } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import type { Writer } from '../../engine/write/writer.js';
import { checkSource } from '../check/check.js';
import { OnlyLeaks } from '../check/verify.js';
import { restoreCopied } from '../snapshots/release-tables.js';

/** Clusters that are freed in one slice. */
const CLUSTERS_PER_SLICE = 65_536;

/** A cluster that has more references by its refcount than by the tables. */
interface Leak {
  readonly cluster: number;
  /** How many more; null when nothing refers to it at all. */
  readonly excess: number | null;
}

/**
 * Frees all leaks. References are counted while changes wait; a leak stays one, since requests only refer to clusters
 * that are free before. Then COPIED is set where one reference is left.
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
  let lowered = false;
  for (let cluster = 0; cluster < context.clusters; ) {
    const leaks: Leak[] = [];
    for (; cluster < context.clusters && leaks.length < CLUSTERS_PER_SLICE; cluster++) {
      if (!refcounts.counts.any(cluster)) cluster = nextPage(cluster) - 1;
      else {
        const leak = leakAt(cluster, refcounts.counts.get(cluster), context.references.get(cluster));
        if (leak !== null) leaks.push(leak);
      }
    }
    lowered ||= leaks.some(({ excess }) => excess !== null);
    if (leaks.length > 0) await structure.slice(() => free(structure, leaks));
  }
  if (lowered) await restoreCopied(structure);
}

/** The leak of a cluster; null when there is none, or when its refcount is too high for a number to be exact. */
function leakAt(cluster: number, count: number, references: number): Leak | null {
  if (count <= references) return null;
  if (references === 0) return { cluster, excess: null };
  return Number.isSafeInteger(count) ? { cluster, excess: count - references } : null;
}

function* free({ state, writes, layer }: Structure, leaks: readonly Leak[]): Steps {
  const { clusterSize } = layer.geometry;
  yield* writes.mark();
  for (const { cluster, excess } of leaks) {
    if (!(yield* loadBlockOf(state, cluster))) continue;
    if (excess === null) state.space.freeLeak(cluster);
    else state.space.retire({ host: cluster * clusterSize, length: clusterSize }, excess);
  }
}
