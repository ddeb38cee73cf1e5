/** Changes the length of the active L1 table: in its place where its clusters suffice, else in a new place. */

import { viewOf } from '../../format/bytes.js';
import { setL1Table } from '../../format/header-fields.js';
import { bytesOf } from '../../format/view-bytes.js';
import type { Steps } from '../async/steps.js';
import type { Qcow2Layer } from '../layer/layer.js';
import { takeConsecutive } from './find-clusters.js';
import { flushes } from './flushes.js';
import { freedOnFailure } from './taken-clusters.js';
import { writeBack } from './write-back.js';
import type { WriteState } from './write-state.js';

const ENTRY_BYTES = 8;

/** An image whose L1 table changes. */
export interface L1Owner {
  readonly layer: Qcow2Layer;
  readonly state: WriteState;
}

/**
 * Gives the L1 table at least `entries` entries. The longer table is on the medium before the header refers to it, and
 * the old one is released after that. The first change must have been announced. The caller must have the exclusive
 * lock.
 *
 * @throws {@link Qcow2Error} `no-space` before anything is changed, and what the device throws.
 */
export function* growL1Table(owner: L1Owner, entries: number): Steps {
  const { layer, state } = owner;
  const { l1Size, l1TableOffset } = layer.header;
  if (entries <= l1Size) return;
  yield* writeBack(state, 'flush');
  const { clusterSize } = layer.geometry;
  const oldClusters = clustersOf(l1Size, clusterSize);
  const clusters = clustersOf(entries, clusterSize);
  const moves = clusters > oldClusters;
  const at = moves ? yield* takeConsecutive(state, clusters) : l1TableOffset;
  if (moves) state.metadata.add('L1 table', at, clusters * clusterSize);
  const bytes = new Uint8Array(clusters * clusterSize);
  const { l1 } = state;
  bytes.set(bytesOf(l1));
  // What is behind a table in its last cluster may be anything.
  const from = moves ? 0 : l1Size * ENTRY_BYTES;
  state.metadata.refuseOverlap('L1 table', at + from, bytes.length - from);
  yield state.device.write([{ at: at + from, bytes: bytes.subarray(from) }]);
  // It flushes, too: the table is on the medium before the header refers to it.
  yield* freedOnFailure(state, at, moves ? clusters : 0, writeBack(state, 'flush'));
  // Only now: after a read that failed, the next change of an entry would go to a table that nothing refers to.
  state.cache.replaceL1Table(viewOf(bytes.subarray(0, entries * ENTRY_BYTES)));
  state.l1At = at;
  yield* switchTo(state, at, entries);
  if (moves && oldClusters > 0) state.space.retire({ host: l1TableOffset, length: oldClusters * clusterSize });
}

/**
 * Removes the entries from `entries` on, which must be empty. The clusters that the table no longer needs are released
 * once the header has its new length.
 */
export function* cutL1Table({ layer, state }: L1Owner, entries: number): Steps {
  const { l1Size } = layer.header;
  if (entries >= l1Size) return;
  yield* writeBack(state, 'flush');
  const { l1, l1At } = state;
  const { clusterSize } = layer.geometry;
  const kept = clustersOf(entries, clusterSize);
  const given = clustersOf(l1Size, clusterSize) - kept;
  state.cache.replaceL1Table(new DataView(l1.buffer, l1.byteOffset, entries * ENTRY_BYTES));
  yield* switchTo(state, l1At, entries);
  if (given > 0) state.space.retire({ host: l1At + kept * clusterSize, length: given * clusterSize });
}

function* switchTo(state: WriteState, at: number, entries: number): Steps {
  const header = state.header.change((sector) => setL1Table(sector, at, entries));
  if (header !== null) yield state.device.write([header]);
  yield flushes.l1Switched(state);
}

function clustersOf(entries: number, clusterSize: number): number {
  return Math.ceil((entries * ENTRY_BYTES) / clusterSize);
}
