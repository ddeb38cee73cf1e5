/** Corrects refcounts, in place where their blocks can be trusted, else in new blocks at the end of the file. */
import type { Transfer } from '../../api/device.js';
import { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import { addDirty } from '../../engine/write/dirty-tables.js';
import { Qcow2Error } from '../../errors.js';
import { setUint64, viewOf } from '../../format/bytes.js';
import { setRefcountTable } from '../../format/header-fields.js';
import { MAX_REFCOUNT_TABLE_BYTES } from '../../format/limits.js';
import { getRefcountTableEntry, refcountTableFaults } from '../../format/refcount-table.js';
import { getRefcount, refcountsPerBlock, setRefcount } from '../../format/refcounts.js';
import type { Checked } from '../check/check.js';
import { changeHeader } from './header-sector.js';
import { hasOverflow, type RepairContext } from './repair-context.js';

/** Bytes of refcount blocks that are read or written in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** References to clusters that did not exist when the references were counted, by cluster. */
export type NewReferences = ReadonlyMap<number, number>;

/**
 * Clears the entries of the refcount table that lead past the end of the file, where blocks read as zeros. When the
 * file grows, something else could be there.
 *
 * @throws what the medium throws.
 */
export async function clearBlocksPastEnd(context: RepairContext): Promise<void> {
  const { medium, header, fileSize, log } = context;
  const table = await readTable(context);
  const dirty = new DirtyRanges();
  for (let index = 0; index * 8 < table.byteLength; index++) {
    if (getRefcountTableEntry(table, index).offset < fileSize) continue;
    setUint64(table, index * 8, 0);
    dirty.add(index * 8, index * 8 + 8);
    log.count('entries-removed');
  }
  const transfers: Transfer[] = [];
  addDirty(transfers, table, header.refcountTableOffset, dirty);
  await medium.write(transfers);
  await medium.flush();
}

/**
 * Raises every refcount that is lower than the number of references; when that cannot be done in place, writes all
 * refcounts anew.
 *
 * @throws {@link Qcow2Error} `unsupported` when the file is too long for a refcount table; what the medium throws.
 */
export async function raiseRefcounts(context: RepairContext, checked: Checked, added: NewReferences): Promise<void> {
  const table = await readTable(context);
  const clusters = context.end.end / context.geometry.clusterSize;
  if (!isSound(context, checked, table, added)) {
    await rebuild(context, checked, table, added, clusters);
    return;
  }
  const needed = (cluster: number) => added.get(cluster) ?? checked.context.references.get(cluster);
  const raised = await correctBlocks(context, table, clusters, (cluster, refcount) => {
    // A cluster that is new was not in the file: what a block says of it is left from somewhere else.
    return added.has(cluster) ? needed(cluster) : Math.max(refcount, needed(cluster));
  });
  context.log.count('refcounts-corrected', raised);
}

/**
 * Lowers every refcount that is higher than the number of references. All entries that were removed must be removed on
 * the medium.
 *
 * @throws what the medium throws.
 */
export async function lowerRefcounts(
  context: RepairContext,
  { context: { references, clusters } }: Checked,
): Promise<void> {
  const table = await readTable(context);
  const lowered = await correctBlocks(context, table, clusters, (cluster, refcount) => {
    return Math.min(refcount, references.get(cluster));
  });
  context.log.count('refcounts-corrected', lowered);
}

async function readTable({ medium, header, geometry, signal }: RepairContext): Promise<DataView> {
  const { refcountTableOffset: at, refcountTableClusters: clusters } = header;
  const bytes = new Uint8Array(clusters * geometry.clusterSize);
  await medium.read([{ at, bytes }], signal);
  return viewOf(bytes);
}

/** Whether refcounts can be corrected in place: the table and its blocks have no other use, and all blocks exist. */
function isSound(
  { geometry, header, fileSize }: RepairContext,
  checked: Checked,
  table: DataView,
  added: NewReferences,
): boolean {
  const { refcounts } = checked;
  const { references, clusters } = checked.context;
  if (refcounts === null || !refcounts.readable) return false;
  // Then one reference to a block may stand for several.
  if (hasOverflow(checked)) return false;
  const { clusterSize } = geometry;
  const perBlock = refcountsPerBlock(clusterSize, header.refcountOrder);
  for (let at = header.refcountTableOffset; at < header.refcountTableOffset + table.byteLength; at += clusterSize) {
    if (references.get(at / clusterSize) !== 1) return false;
  }
  const hasBlock = (cluster: number): boolean => {
    const index = Math.floor(cluster / perBlock);
    return index * 8 < table.byteLength && getRefcountTableEntry(table, index).offset !== 0;
  };
  for (let index = 0; index * 8 < table.byteLength; index++) {
    const { offset } = getRefcountTableEntry(table, index);
    if (refcountTableFaults(clusterSize, table, index) !== 0 || offset >= fileSize) return false;
    if (offset !== 0 && references.get(offset / clusterSize) !== 1) return false;
  }
  for (const cluster of added.keys()) if (!hasBlock(cluster)) return false;
  for (let first = 0; first < clusters; first += perBlock) {
    if (!hasBlock(first) && anyReferenced(references, first, Math.min(first + perBlock, clusters))) return false;
  }
  return true;
}

function anyReferenced(references: Checked['context']['references'], first: number, end: number): boolean {
  for (let cluster = first; cluster < end; cluster++) if (references.get(cluster) > 0) return true;
  return false;
}

/** Sets every refcount below `clusters` to what `choose` returns; returns how many have changed. */
async function correctBlocks(
  { medium, geometry, header, signal, yieldIfDue }: RepairContext,
  table: DataView,
  clusters: number,
  choose: (cluster: number, refcount: number) => number,
): Promise<number> {
  const { clusterSize } = geometry;
  const order = header.refcountOrder;
  const perBlock = refcountsPerBlock(clusterSize, order);
  const blocks = Math.min(Math.ceil(clusters / perBlock), table.byteLength / 8);
  let changed = 0;
  for (let index = 0; index < blocks; ) {
    const batch: { index: number; at: number; bytes: Uint8Array }[] = [];
    for (; index < blocks && batch.length * clusterSize < BATCH_BYTES; index++) {
      const { offset: at } = getRefcountTableEntry(table, index);
      if (at !== 0) batch.push({ index, at, bytes: new Uint8Array(clusterSize) });
    }
    await medium.read(batch, signal);
    const transfers: Transfer[] = [];
    for (const { index, at, bytes } of batch) {
      const view = viewOf(bytes);
      const dirty = new DirtyRanges();
      const first = index * perBlock;
      for (let cluster = first; cluster < Math.min(first + perBlock, clusters); cluster++) {
        const refcount = Number(getRefcount(view, order, cluster - first));
        const wanted = choose(cluster, refcount);
        if (wanted === refcount) continue;
        setRefcount(view, order, cluster - first, order === 6 ? BigInt(wanted) : wanted);
        const bit = (cluster - first) * 2 ** order;
        dirty.add(Math.floor(bit / 8), Math.floor(bit / 8) + Math.max(1, 2 ** order / 8));
        changed++;
      }
      addDirty(transfers, view, at, dirty);
    }
    await medium.write(transfers);
    await yieldIfDue();
  }
  await medium.flush();
  return changed;
}

/** Writes a new refcount table and new blocks at the end of the file, then lets the header lead to them. */
async function rebuild(
  context: RepairContext,
  checked: Checked,
  oldTable: DataView,
  added: NewReferences,
  clusters: number,
): Promise<void> {
  const { references, clusters: counted, maxRefcount: max } = checked.context;
  const { medium, geometry, header, end, log } = context;
  const { clusterSize } = geometry;
  const order = header.refcountOrder;
  const perBlock = refcountsPerBlock(clusterSize, order);
  const old = oldReferences(context, oldTable, counted);
  const isCapped = hasOverflow(checked);
  // A count that is as high as possible may stand for more: it is lowered when it is known.
  const withoutOld = (count: number, less: number) => (isCapped && count === max ? count : Math.max(0, count - less));
  const needed = (cluster: number) => added.get(cluster) ?? withoutOld(references.get(cluster), old.get(cluster) ?? 0);
  const used: number[] = [];
  for (let index = 0; index * perBlock < clusters; index++) {
    const last = Math.min((index + 1) * perBlock, clusters);
    for (let cluster = index * perBlock; cluster < last; cluster++) {
      if (needed(cluster) === 0) continue;
      used.push(index);
      break;
    }
  }
  const { blocks, tableClusters } = structureFor(used, clusters, perBlock, clusterSize);
  const at = end.take((blocks.length + tableClusters) * clusterSize);
  const first = at / clusterSize;
  const last = first + blocks.length + tableClusters;
  const table = new Uint8Array(tableClusters * clusterSize);
  let batch: Transfer[] = [];
  for (const [number, index] of blocks.entries()) {
    const bytes = new Uint8Array(clusterSize);
    for (let step = 0; step < perBlock; step++) {
      const cluster = index * perBlock + step;
      const count = cluster >= first && cluster < last ? 1 : cluster < clusters ? needed(cluster) : 0;
      if (count > 0) setRefcount(viewOf(bytes), order, step, order === 6 ? BigInt(count) : count);
    }
    batch.push({ at: at + number * clusterSize, bytes });
    setUint64(viewOf(table), index * 8, at + number * clusterSize);
    if (batch.length * clusterSize < BATCH_BYTES) continue;
    await medium.write(batch);
    batch = [];
    await context.yieldIfDue();
  }
  const tableAt = at + blocks.length * clusterSize;
  await medium.write([...batch, { at: tableAt, bytes: table }]);
  await changeHeader(medium, (sector) => setRefcountTable(sector, tableAt, tableClusters));
  log.count('refcounts-rebuilt');
}

/** How often the old refcount table and its blocks were counted as references. */
function oldReferences({ geometry, header }: RepairContext, table: DataView, counted: number): Map<number, number> {
  const { clusterSize } = geometry;
  const old = new Map<number, number>();
  const add = (cluster: number) => old.set(cluster, (old.get(cluster) ?? 0) + 1);
  for (let at = 0; at < table.byteLength; at += clusterSize) add((header.refcountTableOffset + at) / clusterSize);
  for (let index = 0; index * 8 < table.byteLength; index++) {
    const { offset } = getRefcountTableEntry(table, index);
    const isCounted = offset !== 0 && refcountTableFaults(clusterSize, table, index) === 0;
    if (isCounted && offset / clusterSize < counted) add(offset / clusterSize);
  }
  return old;
}

/** The blocks, by index, and the clusters of a table that count the used blocks' clusters and themselves. */
function structureFor(
  used: readonly number[],
  clusters: number,
  perBlock: number,
  clusterSize: number,
): { blocks: readonly number[]; tableClusters: number } {
  let blocks = [...used];
  let tableClusters = 1;
  // Each round counts what the previous round added. It ends because a block counts far more clusters than one.
  for (;;) {
    const own = new Set(blocks);
    const last = clusters + blocks.length + tableClusters - 1;
    for (let index = Math.floor(clusters / perBlock); index <= Math.floor(last / perBlock); index++) own.add(index);
    const sorted = [...own].sort((a, b) => a - b);
    const needed = Math.ceil(((sorted.at(-1)! + 1) * 8) / clusterSize);
    if (needed * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
      const message = 'The refcounts of this file would need a refcount table of more than 8 MiB.';
      throw new Qcow2Error('unsupported', message, { what: 'refcount table' });
    }
    if (sorted.length === blocks.length && needed <= tableClusters) return { blocks: sorted, tableClusters };
    blocks = sorted;
    tableClusters = Math.max(tableClusters, needed);
  }
}
