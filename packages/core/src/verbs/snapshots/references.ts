/** Counts the references of an L1 table and of the L2 tables that it refers to, and adds them to the refcounts. */
import { ClusterCounts, nextPage } from '../../engine/allocation/cluster-counts.js';
import type { Steps } from '../../engine/async/steps.js';
import { loadBlockOf } from '../../engine/write/find-clusters.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeRefcountBlocks } from '../../engine/write/write-back.js';
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { forEachHost } from '../../format/host-words.js';
import type { TableReader } from './shared-tables.js';

/** The references by host cluster. */
export class References {
  readonly #structure: Structure;
  readonly #counts: ClusterCounts;
  /** The clusters before it have these references as well. */
  #raised = 0;

  constructor(structure: Structure) {
    const { clusterSize } = structure.layer.geometry;
    this.#structure = structure;
    this.#counts = new ClusterCounts(Math.ceil(structure.state.device.size / clusterSize));
  }

  /**
   * Counts the tables, and what they refer to; for a stream each of its clusters.
   *
   * @throws {@link Qcow2Error} `corrupt` when an entry is invalid or leads past the end of the file.
   */
  *count(reader: TableReader, pause: () => Steps): Steps {
    const { geometry } = this.#structure.layer;
    for (let first = 0; first < reader.entries; ) {
      const { hosts, tables, next } = yield* reader.read(first);
      for (const [step, table] of tables.entries()) {
        this.#add(hosts[step]!, geometry.clusterSize);
        forEachHost(geometry, table, (_, host, length) => this.#add(host, length || geometry.clusterSize));
      }
      first = next;
      yield* pause();
    }
  }

  #add(host: number, length: number): void {
    const { clusterSize } = this.#structure.layer.geometry;
    const last = Math.floor((host + length - 1) / clusterSize);
    if (last >= this.#counts.clusters || (length === clusterSize && host % clusterSize !== 0)) {
      const message = `An entry leads to ${hex(host)}, which is no cluster of the file. Repair the image first.`;
      throw new Qcow2Error('corrupt', message, { what: 'L2 entry', at: host });
    }
    for (let cluster = Math.floor(host / clusterSize); cluster <= last; cluster++) {
      this.#counts.add(cluster, Number.MAX_SAFE_INTEGER);
    }
  }

  /**
   * Refuses an image some of whose refcounts are too low for what refers to the clusters, or would be too large with as
   * many references again.
   *
   * @throws {@link Qcow2Error} `corrupt`, `unsupported`.
   */
  *refuseUncountable(): Steps {
    const { refcounts } = this.#structure.state;
    yield* this.#each((cluster, references) => {
      const at = cluster * refcounts.clusterSize;
      const count = refcounts.count(cluster);
      if (count < references) {
        const found = `The cluster at ${hex(at)} has the refcount ${count}, and ${references} references.`;
        throw new Qcow2Error('corrupt', `${found} Repair the image first.`, { what: 'refcount', at });
      }
      if (count + references <= refcounts.max) return;
      const limit = `refcounts of ${2 ** refcounts.order} bits end at ${refcounts.max}`;
      const message = `The refcount of the cluster at ${hex(at)} cannot be ${count + references}: ${limit}.`;
      throw new Qcow2Error('unsupported', message, { what: 'refcount', at });
    });
  }

  /** As {@link refuseUncountable}, for references that are to be removed. */
  *refuseUncounted(): Steps {
    const { refcounts } = this.#structure.state;
    yield* this.#each((cluster, references) => {
      if (refcounts.count(cluster) >= references) return;
      const at = cluster * refcounts.clusterSize;
      const found = `The cluster at ${hex(at)} has a lower refcount than the snapshot has references to it.`;
      throw new Qcow2Error('corrupt', `${found} Repair the image first.`, { what: 'refcount', at });
    });
  }

  /** Adds the references to the refcounts. They are on the medium after the next write-back. */
  *raise(): Steps {
    const { state } = this.#structure;
    const { refcounts, maxBlocks } = state;
    yield* this.#each(
      (cluster, references) => {
        refcounts.raise(cluster, references);
        this.#raised = cluster + 1;
      },
      function* () {
        if (refcounts.blocks < maxBlocks) return;
        yield* writeRefcountBlocks(state);
        refcounts.evict(maxBlocks - 1);
      },
    );
  }

  /** Removes what {@link raise} has added: with the next write-back. */
  lower(): void {
    const { space, refcounts } = this.#structure.state;
    const { clusterSize } = refcounts;
    for (let cluster = 0; cluster < this.#raised; cluster++) {
      if (!this.#counts.any(cluster)) cluster = nextPage(cluster) - 1;
      else {
        const references = this.#counts.get(cluster);
        if (references > 0) space.retire({ host: cluster * clusterSize, length: clusterSize }, references);
      }
    }
  }

  /** Calls `visit` for every cluster with references, with its block in memory; `before` each block is loaded. */
  *#each(visit: (cluster: number, references: number) => void, before: () => Steps = function* () {}): Steps {
    const { state } = this.#structure;
    const { perBlock } = state.refcounts;
    const { clusters } = this.#counts;
    for (let cluster = 0; cluster < clusters; ) {
      const end = Math.min(clusters, (Math.floor(cluster / perBlock) + 1) * perBlock);
      for (let loaded = false; cluster < end; cluster++) {
        if (!this.#counts.any(cluster)) cluster = Math.min(end, nextPage(cluster)) - 1;
        else {
          const references = this.#counts.get(cluster);
          if (references === 0) continue;
          if (!loaded) {
            yield* before();
            loaded = yield* loadBlockOf(state, cluster);
            if (!loaded) throw uncounted(cluster * state.refcounts.clusterSize);
          }
          visit(cluster, references);
        }
      }
    }
  }
}

function uncounted(at: number): Qcow2Error {
  const message = `The cluster at ${hex(at)} is in use, and has no refcount. Repair the image first.`;
  return new Qcow2Error('corrupt', message, { what: 'refcount', at });
}
