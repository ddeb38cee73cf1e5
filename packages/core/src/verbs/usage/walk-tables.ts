/** Walks over L1 and L2 tables, and enters the owners of what they refer to. */
import { ClusterCounts, type CountPage, PAGE_MASK } from '../../engine/allocation/cluster-counts.js';
import { viewOf } from '../../format/bytes.js';
import { getL2Entry, isCompressed, l2TableOffset, standardOffset } from '../../format/entries.js';
import { PLAIN_HIGH } from '../../format/plain-entries.js';
import { readClusters } from '../check/read-clusters.js';
import { claim, FIRST_SNAPSHOT, OWNER, type OwnerContext } from './owners.js';

/** An L1 table, and the owners of the tables below it and of what those refer to. */
export interface OwnedTable {
  readonly l1: DataView;
  readonly tables: number;
  readonly data: number;
}

/** The walk over the tables of an image: first those of the active disk, then those of each snapshot. */
export class OwnerWalk {
  /** Bytes of the active disk's clusters in the external data file. */
  dataFile = 0;
  readonly #context: OwnerContext;
  readonly #yieldIfDue: () => Promise<void>;
  /** The owners of clusters as L2 tables, so that no table is read for each snapshot that shares it. */
  readonly #walked: ClusterCounts;

  constructor(context: OwnerContext, yieldIfDue: () => Promise<void>) {
    this.#context = context;
    this.#yieldIfDue = yieldIfDue;
    this.#walked = new ClusterCounts(context.clusters);
  }

  /** Reads an L1 table, and enters its owner and that of its L2 tables. */
  async enterTables(at: number, entries: number, owner: number): Promise<DataView> {
    const context = this.#context;
    context.enter(at, entries * 8, owner);
    const l1 = viewOf(await context.read(at, entries * 8));
    for (const { offset } of l2Tables(l1)) context.enter(offset, context.geometry.clusterSize, owner);
    return l1;
  }

  /** Enters what the L2 tables of an L1 table refer to; `progress` takes how many entries of the L1 table are done. */
  async enterData(table: OwnedTable, progress: (entries: number) => void): Promise<void> {
    await readClusters(this.#context, this.#unwalked(table), {
      visit: (_, bytes) => this.#enterEntries(viewOf(bytes), table.data),
      afterBatch: async ({ index }) => {
        progress(index);
        await this.#yieldIfDue();
      },
    });
  }

  /**
   * The L2 tables whose entries must be entered for this owner: those of the active disk, and for snapshots those that
   * the disk does not have and fewer than two snapshots have. A read refuses tables that are not at a cluster, and what
   * is past the end of the file has no entries.
   */
  *#unwalked({ l1, tables }: OwnedTable): Generator<{ readonly index: number; readonly offset: number }> {
    const { geometry, fileSize } = this.#context;
    for (const { index, offset } of l2Tables(l1)) {
      const cluster = offset / geometry.clusterSize;
      if (offset >= fileSize || !Number.isInteger(cluster)) continue;
      const before = this.#walked.get(cluster);
      claim(this.#walked, cluster, tables);
      if (before === OWNER.none || (before >= FIRST_SNAPSHOT && before !== tables)) yield { index, offset };
    }
  }

  #enterEntries(table: DataView, owner: number): undefined {
    if (this.#context.geometry.externalData) this.#countDataFile(table, owner);
    else this.#enterClusters(table, owner);
  }

  /** A disk has millions of entries: no call for most of them, and in locals what would be looked up for each. */
  #enterClusters(table: DataView, owner: number): void {
    const { owners, clusters, geometry } = this.#context;
    const { clusterBits, clusterSize, l2EntrySize } = geometry;
    const { flags, offset } = PLAIN_HIGH;
    const { none } = OWNER;
    const mask = PAGE_MASK;
    const isSnapshot = owner >= FIRST_SNAPSHOT;
    const clustersPerWord = 2 ** (32 - clusterBits);
    let first = -1;
    let page: CountPage | null = null;
    for (let at = 0; at < table.byteLength; at += l2EntrySize) {
      const high = table.getInt32(at);
      const low = table.getInt32(at + 4);
      if (high === 0 && low === 0) continue;
      if ((high & flags) !== 0 || (low & (clusterSize - 1)) !== 0) {
        this.#enterEntry(table, at / l2EntrySize, owner);
        continue;
      }
      const cluster = (high & offset) * clustersPerWord + (low >>> clusterBits);
      if (cluster === 0 || cluster >= clusters) continue;
      const index = cluster & mask;
      if (page === null || cluster - index !== first) {
        first = cluster - index;
        page = owners.page(cluster);
      }
      if (page.get(index) === none) page.set(index, owner);
      else if (isSnapshot) claim(owners, cluster, owner);
    }
  }

  /** Enters what an entry with flags refers to. */
  #enterEntry(table: DataView, index: number, owner: number): void {
    const context = this.#context;
    const mapping = getL2Entry(context.geometry, table, index);
    if (mapping.kind === 'compressed') context.enter(mapping.host, mapping.length, owner);
    else if (mapping.kind !== 'unallocated' && mapping.host !== null) {
      context.enter(mapping.host, context.geometry.clusterSize, owner);
    }
  }

  #countDataFile(table: DataView, owner: number): void {
    const { geometry } = this.#context;
    if (owner !== OWNER.data) return;
    for (let index = 0; index < geometry.l2Entries; index++) {
      const isAllocated = !isCompressed(geometry, table, index) && standardOffset(geometry, table, index) !== null;
      if (isAllocated) this.dataFile += geometry.clusterSize;
    }
  }
}

/** The entries of an L1 table that refer to an L2 table. */
function* l2Tables(l1: DataView): Generator<{ readonly index: number; readonly offset: number }> {
  for (let index = 0; index * 8 + 8 <= l1.byteLength; index++) {
    const offset = l2TableOffset(l1, index);
    if (offset !== 0) yield { index, offset };
  }
}
