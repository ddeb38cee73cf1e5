/**
 * Asserts, between the requests of a test, in which states the clusters of an image are that is being written:
 * docs/durability.md lists them. It looks at the engine from inside, so it names what is wrong before a read or a check
 * can show it.
 */
import { Refcounts } from '../../src/engine/allocation/refcounts.js';
import { stages } from '../../src/engine/write/write-back.js';
import type { WriteState } from '../../src/engine/write/write-state.js';
import { l2TableOffset } from '../../src/format/entries.js';
import { replaced, together } from '../crash/seams.js';

/** What the cache of tables has by host offset; for tests alone. */
interface CachedTables {
  readonly tables: ReadonlyMap<number, unknown>;
}

/** Watches the images that are changed from {@link start} on. */
export class Paranoia {
  readonly #states = new Set<WriteState>();
  #stop: (() => void) | null = null;

  /** Begins to watch. Every image that is changed first after this is watched until {@link stop}. */
  start(): void {
    const states = this.#states;
    this.#stop = together(
      replaced(stages, 'mark', (own) => (state) => {
        states.add(state);
        return own(state);
      }),
      replaced(Refcounts.prototype, 'take', (own) => {
        return function (this: Refcounts, cluster) {
          if (this.isUsed(cluster)) throw new Error(`Cluster ${cluster} was reserved, and is in use when it is taken.`);
          own.call(this, cluster);
        };
      }),
    )();
  }

  /** Ends watching. */
  stop(): void {
    this.#stop?.();
    this.#stop = null;
    this.#states.clear();
  }

  /** Asserts the invariants. No request may be running. */
  check(): void {
    for (const state of this.#states) if (!state.lifecycle.failed) checkState(state);
  }
}

function checkState(state: WriteState): void {
  const { refcounts, space } = state;
  const { clusterSize } = state.geometry;
  const isFree = (cluster: number): boolean =>
    refcounts.loaded(Math.floor(cluster / refcounts.perBlock)) && !refcounts.isUsed(cluster);
  for (const [cluster, references] of space.quarantine) {
    if (isFree(cluster)) throw new Error(`Cluster ${cluster} is in quarantine, and free.`);
    const loaded = refcounts.loaded(Math.floor(cluster / refcounts.perBlock));
    if (loaded && refcounts.count(cluster) < references) {
      throw new Error(`Cluster ${cluster} loses ${references} references, and has ${refcounts.count(cluster)}.`);
    }
  }
  for (const [what, host] of metadataOf(state)) {
    if (isFree(host / clusterSize)) throw new Error(`The ${what} at ${host} is free.`);
  }
}

/** What must not be free: its kind, and the host offset of a cluster. */
function* metadataOf(state: WriteState): Generator<readonly [string, number]> {
  const { cache, tables, refcounts, metadata, l1, geometry, device } = state;
  const { clusterSize } = geometry;
  for (const host of (cache as unknown as CachedTables).tables.keys()) yield ['L2 table in memory', host];
  for (const fresh of [true, false]) {
    for (const { at } of tables.transfers(fresh)) yield ['changed L2 table', at - (at % clusterSize)];
  }
  for (let at = 0; at < l1.byteLength / 8; at++) {
    const host = l2TableOffset(l1, at);
    if (host === 0) continue;
    yield ['L2 table', host];
    const cluster = host / clusterSize;
    const given = state.space.quarantine.get(cluster);
    if (
      given !== undefined &&
      refcounts.loaded(Math.floor(cluster / refcounts.perBlock)) &&
      given === refcounts.count(cluster)
    ) {
      throw new Error(`The L2 table at ${host} is in quarantine with all of its references.`);
    }
  }
  for (let index = 0; index < refcounts.tableEntries; index++) {
    const host = refcounts.blockOffset(index);
    if (host !== 0) yield ['refcount block', host];
  }
  for (const cluster of metadata.clustersIn(0, Math.ceil(device.size / clusterSize))) {
    const kind = metadata.kindOf(cluster)!;
    if (kind !== 'cluster past the end') yield [kind, cluster * clusterSize];
  }
}
