/** A cache of inflated clusters, so that small reads of one cluster inflate it once. */
import { Lru } from '../async/lru.js';

/** Bytes of inflated clusters in the cache of a layer; it has room for two clusters at least. */
const BUDGET = 2 * 1024 * 1024;

/** Inflated clusters by the host offset of their stream. */
export class ClusterCache extends Lru<number, Uint8Array> {
  constructor(clusterSize: number) {
    super(Math.max(2, Math.floor(BUDGET / clusterSize)));
  }
}
