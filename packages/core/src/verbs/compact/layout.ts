/** Computes how long the file is when it is compact, and where its tables can be. */

import type { Steps } from '../../engine/async/steps.js';
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
  /** The last cluster in use, and how many are in use from {@link singlesEnd} on. */
  readonly last: number;
  readonly behind: number;
}

/** Counts the clusters in use, and computes the layout, in which `keptFree` clusters stay free. */
export async function layoutOf(structure: Structure, keptFree: number): Promise<Layout> {
  const { refcounts } = structure.state;
  const { usedIn, last } = await countUsed(structure);
  const used = usedIn.reduce((sum, here) => sum + here, 0);
  const blocks = usedIn.reduce((sum) => sum + 1, 0);
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
      const behind = used - (await structure.slice(() => usedBefore(structure, usedIn, singlesEnd)));
      return { end, singlesEnd, tables: moving, blocks: neededBlocks, last, behind };
    }
    singlesEnd = end - clusters;
  }
}

/** The number of clusters in use before the cluster `limit`. */
function* usedBefore({ state }: Structure, usedIn: readonly number[], limit: number): Steps<number> {
  const { perBlock } = state.refcounts;
  const last = Math.floor(limit / perBlock);
  let used = usedIn.slice(0, last).reduce((sum, here) => sum + here, 0);
  if (!(yield* loadBlockOf(state, limit))) return used;
  for (let cluster = last * perBlock; cluster < limit; cluster++) if (state.refcounts.isUsed(cluster)) used++;
  return used;
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

/** The number of clusters in use by refcount block, with a hole where there is no block, and the last of them. */
async function countUsed({ state, slice }: Structure): Promise<{ usedIn: number[]; last: number }> {
  const { refcounts } = state;
  const usedIn: number[] = [];
  let last = -1;
  await slice(() => settle(state));
  for (let block = 0; block < refcounts.tableEntries; ) {
    await slice(function* () {
      for (let count = 0; count < BLOCKS_PER_SLICE && block < refcounts.tableEntries; block++) {
        if (!(yield* loadBlockOf(state, block * refcounts.perBlock))) continue;
        const here = refcounts.usedIn(block);
        usedIn[block] = here;
        count++;
        if (here > 0) last = refcounts.lastUsedIn(block);
      }
    });
  }
  return { usedIn, last };
}
