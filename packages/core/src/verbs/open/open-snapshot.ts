/** Opens an internal snapshot: a layer that shares everything with the image but the L1 table and the size. */

import type { SnapshotReference } from '../../api/snapshot-reference.js';
import { Scratch } from '../../engine/async/scratch.js';
import { ClusterCache } from '../../engine/layer/cluster-cache.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { Qcow2Error, type Qcow2ErrorCode } from '../../errors.js';
import { hex, viewOf } from '../../format/bytes.js';
import { l1EntriesFor } from '../../format/geometry.js';
import { MAX_L1_BYTES } from '../../format/limits.js';
import { decodeName } from '../../format/names.js';
import { decodeSnapshotExtra } from '../../format/snapshot-extra.js';
import type { Snapshot } from '../../format/snapshots.js';
import { findSnapshot } from '../snapshots/find-snapshot.js';

const L1_ENTRY_BYTES = 8;

/**
 * The layer of the disk as it was when the snapshot was taken.
 *
 * @throws {@link Qcow2Error} `not-found`; `ambiguous`; `corrupt` or `unsupported` when the place or the size of the
 *   snapshot's L1 table is invalid; what the source throws.
 */
export async function snapshotLayer(layer: Qcow2Layer, which: SnapshotReference): Promise<Qcow2Layer> {
  const snapshotIndex = findSnapshot(layer.snapshots, which);
  const snapshot = layer.snapshots[snapshotIndex]!;
  const size = requireSnapshotL1(layer, snapshot);
  const l1 = new Uint8Array(snapshot.l1Size * L1_ENTRY_BYTES);
  if (l1.length > 0) await layer.source.read([{ at: snapshot.l1TableOffset, bytes: l1 }]);
  return {
    ...layer,
    snapshotIndex,
    size,
    // Bitmaps refer to the active disk.
    bitmaps: [],
    tables: layer.tables.forL1Table(viewOf(l1)),
    inflated: new ClusterCache(layer.geometry.clusterSize),
    scratch: new Scratch(),
    // A raw data file contains the active disk; QEMU takes no snapshots of it.
    rawData: false,
  };
}

/**
 * Checks a snapshot's entry before memory is allocated for it. Returns the size of its disk, whole sectors.
 *
 * @throws {@link Qcow2Error} `corrupt`, `unsupported`.
 */
export function requireSnapshotL1({ geometry, source, size }: Qcow2Layer, snapshot: Snapshot): number {
  const { l1TableOffset: at, l1Size } = snapshot;
  const what = `snapshot "${decodeName(snapshot.name)}"`;
  const refuse = (code: Qcow2ErrorCode, finding: string): never => {
    throw new Qcow2Error(code, `The L1 table of ${what} ${finding}.`, { what: `L1 table of ${what}`, at });
  };
  if (l1Size > MAX_L1_BYTES / L1_ENTRY_BYTES) {
    refuse('unsupported', `has ${l1Size} entries; the maximum of QEMU and this library is 4,194,304`);
  }
  if (at % geometry.clusterSize !== 0) refuse('corrupt', `is at ${hex(at)}, no multiple of the cluster size`);
  if (l1Size > 0 && at + l1Size * L1_ENTRY_BYTES > source.size) {
    refuse('corrupt', `(${l1Size} entries at ${hex(at)}) lies past the end of the file, ${hex(source.size)}`);
  }
  const diskSize = decodeSnapshotExtra(snapshot.extra).diskSize ?? size;
  // A shorter table is valid: the clusters that it does not map are unallocated.
  if (l1EntriesFor(geometry, diskSize) > MAX_L1_BYTES / L1_ENTRY_BYTES) {
    refuse('corrupt', `cannot map the ${diskSize} bytes of its disk`);
  }
  if (!Number.isSafeInteger(diskSize)) refuse('unsupported', 'maps a disk of 2^53 bytes or more');
  return diskSize - (diskSize % 512);
}
