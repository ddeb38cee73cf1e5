/** Corrects refcounts, in place where their blocks can be trusted, else in new blocks at the end of the file. */
import type { Transfer } from '../../api/device.js';
import type { ClusterCounts } from '../../engine/allocation/cluster-counts.js';
import { DirtyRanges } from '../../engine/allocation/dirty-ranges.js';
import { addDirty } from '../../engine/write/dirty-tables.js';
import { Qcow2Error } from '../../errors.js';
import { alignUp, setUint64, viewOf } from '../../format/bytes.js';
import { setRefcountTable } from '../../format/header-fields.js';
import { MAX_REFCOUNT_TABLE_BYTES } from '../../format/limits.js';
import { getRefcountTableEntry, refcountTableFaults } from '../../format/refcount-table.js';
import { refcountsPerBlock } from '../../format/refcounts.js';
import type { Checked } from '../check/check.js';
import { writeChanged } from './changed-table.js';
import { anyCountAbove } from './counted-clusters.js';
import { changeHeader } from './header-sector.js';
import { type NewReferences, referencesTo } from './pending-change.js';
import { type Correction, RefcountBlock } from './refcount-block.js';
import { hasOverflow, type RepairContext } from './repair-context.js';

/** A cluster, and how often it is referenced. */
type ClusterCount = readonly [number, number];

/** Bytes of refcount blocks that are read or written in one batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Clears the entries of the refcount table that lead past the end of the file, where blocks read as zeros. When the
 * file grows, something else could be there.
 *
 * @throws what the medium throws.
 */
export async function clearBlocksPastEnd(context: RepairContext): Promise<void> {
  const { medium, header, fileSize, log } = context;
  // Of a table that ends past the end of the file no cluster is counted: anything may be in its place.
  if (isTablePastEnd(context)) return;
  const table = await readTable(context);
  const dirty = new DirtyRanges();
  for (let index = 0; index * 8 < table.byteLength; index++) {
    if (getRefcountTableEntry(table, index).offset < fileSize) continue;
    setUint64(table, index * 8, 0);
    dirty.add(index * 8, index * 8 + 8);
    log.count('entries-removed');
  }
  await writeChanged(medium, table, header.refcountTableOffset, dirty);
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
  const raised = await correctBlocks(context, table, clusters, checked, 'raise', added);
  context.log.count('refcounts-corrected', raised);
}

/**
 * Lowers every refcount that is higher than the number of references. All entries that were removed must be removed on
 * the medium.
 *
 * @throws what the medium throws.
 */
export async function lowerRefcounts(context: RepairContext, checked: Checked): Promise<void> {
  const table = await readTable(context);
  const lowered = await correctBlocks(context, table, checked.context.clusters, checked, 'lower');
  context.log.count('refcounts-corrected', lowered);
}

/** True if the refcount table ends past the last cluster of the file. */
function isTablePastEnd({ header, geometry, fileSize }: RepairContext): boolean {
  const { refcountTableOffset: at, refcountTableClusters: clusters } = header;
  return at + clusters * geometry.clusterSize > alignUp(fileSize, geometry.clusterSize);
}

async function readTable({ medium, header, geometry, signal }: RepairContext): Promise<DataView> {
  const { refcountTableOffset: at, refcountTableClusters: clusters } = header;
  const bytes = new Uint8Array(clusters * geometry.clusterSize);
  await medium.read([{ at, bytes }], signal);
  return viewOf(bytes);
}

/** Whether refcounts can be corrected in place: the table and its blocks have no other use, and all blocks exist. */
function isSound(context: RepairContext, checked: Checked, table: DataView, added: NewReferences): boolean {
  const { geometry, header, fileSize } = context;
  if (isTablePastEnd(context)) return false;
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
    if (!hasBlock(first) && anyCountAbove(0, references, first, Math.min(first + perBlock, clusters))) return false;
  }
  return true;
}

/**
 * Corrects the refcounts of the clusters below `end`; returns how many have changed. Clusters that are new were not in
 * the file: what a block says of them is left from somewhere else.
 */
async function correctBlocks(
  { medium, geometry, header, signal, yieldIfDue }: RepairContext,
  table: DataView,
  end: number,
  { context: { references } }: Checked,
  correction: Correction,
  added: NewReferences = new Map(),
): Promise<number> {
  const { clusterSize } = geometry;
  const { refcountOrder } = header;
  const perBlock = refcountsPerBlock(clusterSize, refcountOrder);
  const blocks = Math.min(Math.ceil(end / perBlock), table.byteLength / 8);
  const addedTo = byBlock(added, perBlock);
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
      const block = new RefcountBlock(bytes, refcountOrder, index * perBlock);
      block.correct(references, Math.min((index + 1) * perBlock, end), correction);
      for (const [cluster, count] of addedTo.get(index) ?? []) block.set(cluster, count);
      addDirty(transfers, block.view, at, block.dirty);
      changed += block.changed;
    }
    await medium.write(transfers);
    await yieldIfDue();
  }
  await medium.flush();
  return changed;
}

/** Counts by the block that has them. */
function byBlock(counts: NewReferences, perBlock: number): Map<number, ClusterCount[]> {
  const blocks = new Map<number, ClusterCount[]>();
  for (const count of counts) {
    const index = Math.floor(count[0] / perBlock);
    const others = blocks.get(index);
    if (others === undefined) blocks.set(index, [count]);
    else others.push(count);
  }
  return blocks;
}

/** Writes a new refcount table and new blocks at the end of the file, then lets the header lead to them. */
async function rebuild(
  context: RepairContext,
  checked: Checked,
  oldTable: DataView,
  added: NewReferences,
  clusters: number,
): Promise<void> {
  const { references } = checked.context;
  const { medium, geometry, header, end, log } = context;
  const { clusterSize } = geometry;
  const perBlock = refcountsPerBlock(clusterSize, header.refcountOrder);
  const others = byBlock(new Map([...withoutOldStructure(context, checked, oldTable), ...added]), perBlock);
  const used: number[] = [];
  for (let index = 0; index * perBlock < clusters; index++) {
    const last = Math.min((index + 1) * perBlock, clusters);
    if (isUsed(references, index * perBlock, last, others.get(index) ?? [])) used.push(index);
  }
  const { blocks, tableClusters } = structureFor(used, clusters, perBlock, clusterSize);
  const at = end.take((blocks.length + tableClusters) * clusterSize);
  const own = byBlock(referencesTo(at, (blocks.length + tableClusters) * clusterSize, clusterSize), perBlock);
  const table = new Uint8Array(tableClusters * clusterSize);
  let batch: Transfer[] = [];
  for (const [number, index] of blocks.entries()) {
    const bytes = new Uint8Array(clusterSize);
    const block = new RefcountBlock(bytes, header.refcountOrder, index * perBlock);
    block.correct(references, Math.min((index + 1) * perBlock, clusters), 'raise');
    for (const [cluster, count] of others.get(index) ?? []) block.set(cluster, count);
    for (const [cluster, count] of own.get(index) ?? []) block.set(cluster, count);
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

/** Whether any cluster is referenced. `others` has the counts of those that were counted otherwise. */
function isUsed(references: ClusterCounts, first: number, end: number, others: readonly ClusterCount[]): boolean {
  if (others.length === 0) return anyCountAbove(0, references, first, end);
  const counts = new Map(others);
  for (let cluster = first; cluster < end; cluster++) {
    if ((counts.get(cluster) ?? references.get(cluster)) > 0) return true;
  }
  return false;
}

/** How often the clusters of the old refcount table and its blocks are referenced by anything else. */
function withoutOldStructure(context: RepairContext, checked: Checked, table: DataView): Map<number, number> {
  const { references, clusters, maxRefcount: max } = checked.context;
  const isCapped = hasOverflow(checked);
  const counts = new Map<number, number>();
  for (const [cluster, old] of oldReferences(context, table, clusters)) {
    const count = references.get(cluster);
    // A count that is as high as possible may stand for more: it is lowered when it is known.
    counts.set(cluster, isCapped && count === max ? count : Math.max(0, count - old));
  }
  return counts;
}

/** How often the old refcount table and its blocks were counted as references. */
function oldReferences(context: RepairContext, table: DataView, counted: number): Map<number, number> {
  const { geometry, header } = context;
  const { clusterSize } = geometry;
  const old = new Map<number, number>();
  const add = (cluster: number) => old.set(cluster, (old.get(cluster) ?? 0) + 1);
  if (isTablePastEnd(context)) return old;
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
