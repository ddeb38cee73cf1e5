/** Reads and writes the tables of snapshots: replaces the snapshot table of an image. */
import type { Steps } from '../../engine/async/steps.js';
import { takeTable } from '../../engine/write/find-clusters.js';
import { flushes } from '../../engine/write/flushes.js';
import type { Structure } from '../../engine/write/structure.js';
import { freedOnFailure } from '../../engine/write/taken-clusters.js';
import { writeBack } from '../../engine/write/write-back.js';
import { Qcow2Error } from '../../errors.js';
import { viewOf } from '../../format/bytes.js';
import { setSnapshotTable } from '../../format/header-fields.js';
import { MAX_SNAPSHOT_TABLE_BYTES, MAX_SNAPSHOTS } from '../../format/limits.js';
import { encodeSnapshots, type Snapshot } from '../../format/snapshots.js';
import { requireSnapshotL1 } from '../open/open-snapshot.js';

/**
 * Refuses a table that QEMU would refuse.
 *
 * @throws {@link Qcow2Error} `unsupported`.
 */
export function requireTable(snapshots: readonly Snapshot[]): Uint8Array {
  const bytes = encodeSnapshots(snapshots);
  if (snapshots.length <= MAX_SNAPSHOTS && bytes.length <= MAX_SNAPSHOT_TABLE_BYTES) return bytes;
  const found = `${snapshots.length} snapshots take a table of ${bytes.length} bytes`;
  const message = `${found}; the most are ${MAX_SNAPSHOTS}, and 64 MiB.`;
  throw new Qcow2Error('unsupported', message, { what: 'snapshot table' });
}

/**
 * Writes the table of these snapshots to a new place, and lets the header refer to it, in one write of its sector. The
 * change must have been announced. When it ends, it is on the medium.
 */
export function* replaceSnapshots(structure: Structure, snapshots: readonly Snapshot[]): Steps {
  const { layer, state } = structure;
  const { clusterSize } = layer.geometry;
  const bytes = requireTable(snapshots);
  const clusters = Math.ceil(bytes.length / clusterSize);
  const at = clusters === 0 ? 0 : yield* writeTable(structure, 'snapshot table', bytes);
  yield* freedOnFailure(state, at, clusters, writeBack(state, 'check'));
  const old = { host: layer.header.snapshotsOffset, length: encodeSnapshots(layer.snapshots).length };
  const header = state.header.change((sector) => setSnapshotTable(sector, at, snapshots.length));
  if (header !== null) yield state.device.write([header]);
  yield flushes.snapshotsSwitched(state);
  for (const each of [layer, ...layer.views]) each.snapshots = snapshots;
  if (old.length > 0) state.space.retire(old);
}

/** Writes a table to new clusters, which the next write-back counts on the medium. Returns its host offset. */
export function* writeTable(
  { layer, state }: Structure,
  kind: 'snapshot table' | "snapshot's L1 table" | 'L1 table',
  bytes: Uint8Array,
): Steps<number> {
  const { clusterSize } = layer.geometry;
  const whole = new Uint8Array(Math.ceil(bytes.length / clusterSize) * clusterSize);
  whole.set(bytes);
  const at = yield* takeTable(state, whole.length / clusterSize);
  state.metadata.add(kind, at, whole.length);
  yield state.device.write([{ at, bytes: whole }]);
  return at;
}

/** Reads the L1 table of a snapshot; it gets at least `entries` entries, of which those behind its own are empty. */
export function* readL1({ layer }: Structure, snapshot: Snapshot, entries = 0): Steps<DataView> {
  requireSnapshotL1(layer, snapshot);
  const bytes = new Uint8Array(Math.max(snapshot.l1Size, entries) * 8);
  const own = bytes.subarray(0, snapshot.l1Size * 8);
  if (own.length > 0) yield layer.source.read([{ at: snapshot.l1TableOffset, bytes: own }]);
  return viewOf(bytes);
}
