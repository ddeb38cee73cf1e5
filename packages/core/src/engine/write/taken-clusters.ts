/** Clusters that were taken for a table, and to which nothing refers yet. */
import type { Steps } from '../async/steps.js';
import type { WriteState } from './write-state.js';

/** Runs steps after which something refers to the taken clusters. If one throws, the clusters are freed. */
export function* freedOnFailure({ space, refcounts }: WriteState, host: number, clusters: number, steps: Steps): Steps {
  try {
    yield* steps;
  } catch (error) {
    space.retire({ host, length: clusters * refcounts.clusterSize });
    throw error;
  }
}
