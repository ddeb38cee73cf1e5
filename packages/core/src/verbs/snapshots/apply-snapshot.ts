/**
 * Makes the disk what it was when a snapshot was taken. The refcounts of what the snapshot refers to rise first; then
 * one write of the header's sector leads to a copy of its L1 table and has its size; then what the disk was is
 * released.
 */

import type { OperationOptions } from '../../api/options.js';
import type { SnapshotReference } from '../../api/snapshot-reference.js';
import { progressOf } from '../../engine/async/progress.js';
import type { Steps } from '../../engine/async/steps.js';
import { flushes } from '../../engine/write/flushes.js';
import { settle } from '../../engine/write/settle.js';
import type { Structure } from '../../engine/write/structure.js';
import { writeBack } from '../../engine/write/write-back.js';
import type { Writer } from '../../engine/write/writer.js';
import { Qcow2Error } from '../../errors.js';
import { viewOf } from '../../format/bytes.js';
import { clearCopied } from '../../format/copied-flags.js';
import { l2TableOffset } from '../../format/entries.js';
import { l1EntriesFor } from '../../format/geometry.js';
import { setDiskSize, setL1Table } from '../../format/header-fields.js';
import { decodeName } from '../../format/names.js';
import { bytesOf } from '../../format/view-bytes.js';
import { requireSnapshotL1 } from '../open/open-snapshot.js';
import { pauses, refuseDataFile } from './changeable.js';
import { findSnapshot } from './find-snapshot.js';
import { References } from './references.js';
import { releaseTables } from './release-tables.js';
import { shareL1 } from './shared-l1.js';
import { clearInTables, TableReader } from './shared-tables.js';
import { readL1 } from './snapshot-table.js';

const ENTRY_BYTES = 8;

/**
 * Applies a snapshot, as `Disk.applySnapshot` describes.
 *
 * @throws {@link Qcow2Error} `not-found`, `ambiguous`, `unsupported`, `corrupt`, and what the device throws; the
 *   signal's reason when it aborts.
 */
export function applySnapshot(writer: Writer, which: SnapshotReference, options: OperationOptions = {}): Promise<void> {
  return writer.restructure(async (structure) => {
    const { layer, slice } = structure;
    refuseDataFile(structure);
    refuseBitmaps(structure);
    const progress = progressOf(options, 'snapshot', layer.size);
    const left = await slice(() => switchDisk(structure, which));
    await releaseTables(structure, left);
    progress(Number.POSITIVE_INFINITY);
  }, options.signal);
}

/** The bitmaps would not mark what becomes different. QEMU refuses this, too. */
function refuseBitmaps({ layer }: Structure): void {
  if (layer.bitmaps.length === 0) return;
  const message = 'No snapshot can be applied to an image with bitmaps: they would not mark what becomes different.';
  throw new Qcow2Error('unsupported', message, { what: 'bitmaps' });
}

/** Returns the L1 table that the disk had, whose references are still counted. */
function* switchDisk(structure: Structure, which: SnapshotReference): Steps<DataView> {
  const { layer, state, writes, signal } = structure;
  const snapshot = layer.snapshots[findSnapshot(layer.snapshots, which)]!;
  const size = requireSnapshotL1(layer, snapshot);
  const pause = pauses(signal);
  yield* settle(state);
  const l1 = yield* readL1(structure, snapshot, l1EntriesFor(layer.geometry, size));
  clearCopied(l1, ENTRY_BYTES);
  const reader = new TableReader(structure, l1, `the L1 table of snapshot "${decodeName(snapshot.name)}"`);
  const references = new References(structure);
  yield* references.count(reader, pause);
  yield* references.refuseUncountable();
  yield* pause();
  yield* writes.mark();
  yield* clearInTables(structure, reader);
  const at = yield* shareL1(structure, references, 'L1 table', l1, () => writeBack(state, 'check'));
  return yield* switchTo(structure, at, { l1, size });
}

/** The disk that becomes the active one. */
interface NewDisk {
  readonly l1: DataView;
  readonly size: number;
}

/** Lets the header refer to the copy at `at`, with the size that belongs to it. Returns the L1 table that it had. */
function* switchTo(structure: Structure, at: number, { l1, size }: NewDisk): Steps<DataView> {
  const { state } = structure;
  const old = { host: state.l1At, length: state.l1.byteLength };
  const left = viewOf(bytesOf(state.l1).slice());
  const header = state.header.change((sector) => {
    setL1Table(sector, at, l1.byteLength / ENTRY_BYTES);
    setDiskSize(sector, size);
  });
  if (header !== null) yield state.device.write([header]);
  yield flushes.snapshotApplied(state);
  state.cache.replaceL1Table(l1);
  state.l1At = at;
  enterTables(structure, l1);
  if (old.length > 0) state.space.retire(old);
  return left;
}

/** The tables that the disk shares with the snapshot may not be overwritten, either. */
function enterTables({ layer, state }: Structure, l1: DataView): void {
  const { clusterSize } = layer.geometry;
  for (let index = 0; index < l1.byteLength / ENTRY_BYTES; index++) {
    const host = l2TableOffset(l1, index);
    if (host > 0 && !state.metadata.has(host)) state.metadata.add('L2 table', host, clusterSize);
  }
}
