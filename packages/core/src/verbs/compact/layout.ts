/** Computes how long the file is when it is compact, and where its tables can be. */

import { loadBlockOf } from '../../engine/write/find-clusters.js';
import { settle } from '../../engine/write/settle.js';
import type { Structure } from '../../engine/write/structure.js';
import { type Table, tablesOf } from './tables.js';

/** Refcount blocks that one slice reads. */
const BLOCKS_PER_SLICE = 64;
const ENTRY_BYTES = 8;

/** The layout of the compact file, in clusters. */
export interface Layout {
  /** The end of the compact file. */
  readonly end: number;
  /** Everything that moves by itself moves before this cluster; tables of consecutive clusters follow it. */
  readonly singlesEnd: number;
  /** The tables that move, in ascending order. */
  readonly tables: readonly Table[];
  /** The number of refcount blocks that count all of it. */
  readonly blocks: number;
  /** The number of clusters in use, and the last of them. */
  readonly used: number;
  readonly last: number;
}

/** Counts the clusters in use, and computes the layout, in which `keptFree` clusters stay free. */
export async function layoutOf(structure: Structure, keptFree: number): Promise<Layout> {
  const { refcounts } = structure.state;
  const { used, blocks, last } = await countUsed(structure);
  const others = used - blocks - refcounts.location.clusters + keptFree;
  const { end, neededBlocks, tableClusters } = refcountsFor(structure, others);
  const refcountTableEnd = refcounts.location.at / refcounts.clusterSize + refcounts.location.clusters;
  const all = tablesOf(structure);
  let singlesEnd = end;
  for (;;) {
    const moving = all.filter(({ host, clusters }) => host / refcounts.clusterSize + clusters > singlesEnd);
    const ofRefcountTable = refcountTableEnd > singlesEnd ? tableClusters : 0;
    const clusters = moving.reduce((sum, table) => sum + table.clusters, ofRefcountTable);
    if (end - clusters >= singlesEnd) {
      return { end, singlesEnd, tables: moving, blocks: neededBlocks, used, last };
    }
    singlesEnd = end - clusters;
  }
}

/** The blocks and the table that count a file of `others` clusters, themselves, and nothing else. */
function refcountsFor(
  { state }: Structure,
  others: number,
): { end: number; neededBlocks: number; tableClusters: number } {
  const { perBlock, clusterSize } = state.refcounts;
  let neededBlocks = 1;
  let tableClusters = 1;
  for (;;) {
    const end = others + neededBlocks + tableClusters;
    const counting = Math.ceil(end / perBlock);
    const table = Math.ceil((counting * ENTRY_BYTES) / clusterSize);
    if (counting <= neededBlocks && table <= tableClusters) return { end, neededBlocks, tableClusters };
    neededBlocks = Math.max(neededBlocks, counting);
    tableClusters = Math.max(tableClusters, table);
  }
}

async function countUsed({ state, slice }: Structure): Promise<{ used: number; blocks: number; last: number }> {
  const { refcounts } = state;
  let used = 0;
  let blocks = 0;
  let last = -1;
  await slice(() => settle(state));
  for (let block = 0; block < refcounts.tableEntries; ) {
    await slice(function* () {
      for (let count = 0; count < BLOCKS_PER_SLICE && block < refcounts.tableEntries; block++) {
        if (!(yield* loadBlockOf(state, block * refcounts.perBlock))) continue;
        const here = refcounts.usedIn(block);
        used += here;
        blocks++;
        count++;
        if (here > 0) last = refcounts.lastUsedIn(block);
      }
    });
  }
  return { used, blocks, last };
}
