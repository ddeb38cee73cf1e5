/**
 * Owns the order in which changes reach the medium, which may tear a write at any 512-byte border, and between two
 * flushes keep any part of what was written. Each stage is flushed before the next begins; an empty one costs nothing.
 *
 *   stage    writes                                                                    a crash after it leaves
 *   mark     dirty bit on, unknown autoclear bits off, auto bitmaps in use:            nothing wrong
 *            before the first change; bitmaps that cannot be kept go (dropBitmaps)
 *   grow     new refcount blocks and tables, whole, counting themselves                nothing wrong
 *   reserve  pointers to those; refcounts, each the greater of medium and memory;      leaks
 *            guest data (an external data file is flushed first); new tables that
 *            nothing points at yet; bits of bitmaps
 *   roots    entries of L2 tables in place, entries of the L1 table and of the         new state, leaks
 *            tables of bitmaps, words that lead to clusters that were moved
 *   release  falling refcounts                                                         clean
 *   trim     dirty bit off, bitmaps no longer in use, last                             clean
 *
 * With lazy refcounts a write-back leaves out grow, refcounts and their pointers until the image is closed, unless the
 * refcount table has moved, or blocks are over their budget.
 *
 * Guest data are written when the guest writes them, into clusters that nothing on the medium refers to, or in place.
 * Bits of bitmaps are brought to the medium when the image is closed, when they are to be read, or when there are too
 * many to keep; a bitmap that is marked in use there is not valid, so its clusters and the entries of its table are
 * written in place.
 */

import type { Transfer } from '../../api/device.js';
import { AUTOCLEAR, INCOMPATIBLE } from '../../format/header.js';
import { clearUnknownAutoclear, setAutoclear, setIncompatible, setRefcountTable } from '../../format/header-fields.js';
import { bytesOf } from '../../format/view-bytes.js';
import type { Steps } from '../async/steps.js';
import type { TrackedBitmaps } from './bitmaps/tracked-bitmaps.js';
import type { UntrackedBitmaps } from './bitmaps/untracked-bitmaps.js';
import { addDirty } from './dirty-tables.js';
import { findClusters } from './find-clusters.js';
import { flushes } from './flushes.js';
import type { WriteState } from './write-state.js';

function* mark(state: WriteState): Steps {
  if (state.geometry.version === 2) return;
  const transfers = flagTransfers(state, true);
  refuseOverlaps(state, 'bitmap directory', transfers);
  const header = state.header.change((sector) => {
    clearUnknownAutoclear(sector);
    if (state.untracked !== null) setAutoclear(sector, AUTOCLEAR.bitmaps, false);
    if (state.lazy) setIncompatible(sector, INCOMPATIBLE.dirty, true);
  });
  if (header !== null) transfers.push(header);
  yield state.device.write(transfers);
  yield flushes.marked(state);
  if (state.untracked !== null) yield* dropBitmaps(state, state.untracked);
}

/**
 * Removes bitmaps that the cleared autoclear bit makes invalid: first the extension, then its clusters. Those stay
 * counted until the next write-back has written its roots. A crash in between leaves an extension that is not valid, or
 * leaks.
 */
function* dropBitmaps(state: WriteState, untracked: UntrackedBitmaps): Steps {
  const { device, header, space } = state;
  const transfers = untracked.extensionTransfers();
  for (const transfer of transfers) header.include(transfer);
  yield device.write(transfers);
  yield flushes.bitmapsDropped(state);
  untracked.dropped();
  header.bitmapsChanged();
  for (const run of untracked.clusters) space.retire(run);
  state.untracked = null;
}

/**
 * Why metadata are written back: the caller flushes, or too much is in memory; the bits of bitmaps are to be read from
 * the medium; a check is to count there, lazy refcounts too; or the image is closed, after which nothing follows.
 */
export type WriteBackReason = 'flush' | 'budget' | 'bitmaps' | 'check' | 'close';

/** Brings every change to the medium, in the order that the head of this file describes. */
export function* writeBack(state: WriteState, reason: WriteBackReason): Steps {
  const closing = reason === 'close';
  const storing = closing || reason === 'bitmaps' || state.bitmaps?.full;
  const bitmaps = storing ? state.bitmaps : null;
  if (bitmaps !== null) yield* allocateBitmaps(state, bitmaps);
  const counting = closing || reason === 'check' || !state.lazy || mustCount(state);
  for (const stage of stageOrder) yield* stages[stage](state, { counting, bitmaps, closing });
}

/** A stage of a write-back. */
export type Stage = (state: WriteState, content: WriteBackContent) => Steps;

/** The stages of writing, by name. */
export interface Stages {
  /** Before the first change. */
  mark(state: WriteState): Steps;
  grow: Stage;
  reserve: Stage;
  roots: Stage;
  release: Stage;
  trim: Stage;
}

/** The stages as they are. The tests of power cuts alone replace them. */
export const stages: Stages = { mark, grow, reserve, roots, release, trim };

/** The order of a write-back's stages. As above. */
export const stageOrder: Exclude<keyof Stages, 'mark'>[] = ['grow', 'reserve', 'roots', 'release', 'trim'];

/** What a write-back brings to the medium besides tables. */
export interface WriteBackContent {
  /** Whether refcounts are brought, and the pointers to their blocks. */
  readonly counting: boolean;
  /** The bitmaps whose bits are brought; null for none. */
  readonly bitmaps: TrackedBitmaps | null;
  /** Whether nothing follows: the image is closed. */
  readonly closing: boolean;
}

/**
 * True if the refcounts must reach the medium although they are lazy. When the table has moved, its old clusters are
 * released at the end of this write-back, so the header must refer to the new ones before. Blocks over budget can be
 * evicted only when they are as on the medium.
 */
function mustCount({ refcounts, maxBlocks }: WriteState): boolean {
  return refcounts.moved || refcounts.blocks > maxBlocks;
}

/** Allocates clusters for the bits of bitmaps that have none. */
function* allocateBitmaps(state: WriteState, bitmaps: TrackedBitmaps): Steps {
  yield* findClusters(state, bitmaps.unallocated);
  bitmaps.allocateClusters(state.space);
}

function* grow(state: WriteState, { counting }: WriteBackContent): Steps {
  if (!counting) return;
  const { device, refcounts, metadata } = state;
  const transfers: Transfer[] = [];
  for (const { at, view } of refcounts.unlinkedBlocks()) {
    metadata.refuseOverlap('refcount block', at, view.byteLength);
    transfers.push({ at, bytes: bytesOf(view) });
  }
  if (refcounts.moved) {
    const { at } = refcounts.location;
    metadata.refuseOverlap('refcount table', at, refcounts.table.byteLength);
    transfers.push({ at, bytes: bytesOf(refcounts.table) });
  }
  if (transfers.length === 0) return;
  yield device.write(transfers);
  yield flushes.grown(state);
}

function* reserve(state: WriteState, { counting, bitmaps }: WriteBackContent): Steps {
  const { device, refcounts, tables, metadata } = state;
  const transfers = tables.transfers(true);
  refuseOverlaps(state, 'L2 table', transfers);
  if (bitmaps !== null) {
    const bits = bitmaps.dataTransfers();
    refuseOverlaps(state, 'bitmap data', bits);
    // One by one: there may be more than a call takes arguments.
    for (const transfer of bits) transfers.push(transfer);
  }
  if (counting) {
    for (const transfer of linkTransfers(state)) transfers.push(transfer);
    for (const { at, view, dirty } of refcounts.dirtyBlocks()) {
      metadata.refuseOverlap('refcount block', at, view.byteLength);
      addDirty(transfers, view, at, dirty);
    }
  }
  yield device.write(transfers);
  yield flushes.guestData(state);
  yield flushes.reserved(state);
  if (!counting) return;
  refcounts.linked();
  for (const { dirty } of refcounts.dirtyBlocks()) dirty.clear();
}

/** The pointers to what *grow* has brought to the medium: the header's, when the table moved, else the table's. */
function linkTransfers(state: WriteState): Transfer[] {
  const { refcounts } = state;
  if (refcounts.moved) {
    const { at, clusters } = refcounts.location;
    const header = state.header.change((sector) => setRefcountTable(sector, at, clusters));
    return header === null ? [] : [header];
  }
  const transfers: Transfer[] = [];
  addDirty(transfers, refcounts.table, refcounts.location.at, refcounts.dirtyTable);
  refuseOverlaps(state, 'refcount table', transfers);
  return transfers;
}

function* roots(state: WriteState, { bitmaps }: WriteBackContent): Steps {
  const { device, tables, dirtyL1, l1, l1At, words } = state;
  const transfers = tables.transfers(false);
  refuseOverlaps(state, 'L2 table', transfers);
  const entries: Transfer[] = [];
  addDirty(entries, l1, l1At, dirtyL1);
  refuseOverlaps(state, 'L1 table', entries);
  for (const transfer of entries) transfers.push(transfer);
  if (bitmaps !== null) {
    const marks = bitmaps.tableTransfers();
    refuseOverlaps(state, 'bitmap table', marks);
    for (const transfer of marks) transfers.push(transfer);
  }
  for (const word of words) transfers.push(word);
  yield device.write(transfers);
  yield flushes.rooted(state);
  words.length = 0;
  tables.written();
  dirtyL1.clear();
  bitmaps?.stored();
}

/**
 * Lets refcounts fall. What it writes is not flushed: until the medium has it there are leaks, and what is allocated
 * anew is counted before it is used. Blocks that must be loaded are so few by few; those before them are written and
 * evicted.
 */
function* release(state: WriteState, { counting }: WriteBackContent): Steps {
  const { refcounts, space, maxBlocks } = state;
  for (const missing of space.release()) {
    if (refcounts.blocks > maxBlocks) {
      yield* writeRefcountBlocks(state);
      refcounts.evict(maxBlocks);
    }
    yield* state.loadBlocks(missing);
  }
  if (counting) yield* writeRefcountBlocks(state);
}

/** Writes the refcount blocks that differ from the medium, without a flush. All of them must be linked there. */
export function* writeRefcountBlocks({ device, refcounts, metadata }: WriteState): Steps {
  const transfers: Transfer[] = [];
  for (const { at, view, dirty } of refcounts.dirtyBlocks()) {
    metadata.refuseOverlap('refcount block', at, view.byteLength);
    addDirty(transfers, view, at, dirty);
    dirty.clear();
  }
  yield device.write(transfers);
}

function* trim(state: WriteState, { closing }: WriteBackContent): Steps {
  if (!closing) return;
  const { device, header } = state;
  yield flushes.released(state);
  const transfers = flagTransfers(state, false);
  const clean = state.lazy ? header.change((sector) => setIncompatible(sector, INCOMPATIBLE.dirty, false)) : null;
  if (clean !== null) transfers.push(clean);
  yield device.write(transfers);
  yield flushes.trimmed(state);
}

/** Marks an image corrupt whose metadata contradict themselves: it must be repaired before it is written to again. */
export function* markCorrupt(state: WriteState, version: 2 | 3): Steps {
  if (version === 2) return;
  const header = state.header.change((sector) => setIncompatible(sector, INCOMPATIBLE.corrupt, true));
  if (header === null) return;
  yield state.device.write([header]);
  yield flushes.corruptMarked(state);
}

function flagTransfers(state: WriteState, inUse: boolean): Transfer[] {
  if (state.bitmaps === null) return [];
  state.header.bitmapsChanged();
  return state.bitmaps.flagTransfers(inUse);
}

function refuseOverlaps(
  { metadata }: WriteState,
  kind: Parameters<WriteState['metadata']['refuseOverlap']>[0],
  transfers: readonly Transfer[],
): void {
  for (const { at, bytes } of transfers) metadata.refuseOverlap(kind, at, bytes.length);
}
