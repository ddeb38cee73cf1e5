/** The inflated clusters that are kept, so that small reads of one cluster inflate it once. */
import { Lru } from '../async/lru.js';

/** How many bytes of inflated clusters a layer keeps; always at least two clusters. */
const BUDGET = 2 * 1024 * 1024;

/** Inflated clusters by the host offset of their stream. */
export class ClusterCache extends Lru<number, Uint8Array> {
  constructor(clusterSize: number) {
    super(Math.max(2, Math.floor(BUDGET / clusterSize)));
  }
}
