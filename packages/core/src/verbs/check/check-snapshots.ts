/** Reads the snapshot table for a check, and checks its entries. */
import type { ByteSource } from '../../api/device.js';
import { readSnapshotTable } from '../../engine/layer/snapshot-table.js';
import { isQcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { MAX_L1_BYTES } from '../../format/limits.js';
import { V3_EXTRA_BYTES } from '../../format/snapshot-extra.js';
import type { Snapshot } from '../../format/snapshots.js';
import type { CheckContext } from './check-context.js';

/** The snapshots, and the length of their table; none when it cannot be read, which is a finding. */
export async function readSnapshots(
  context: CheckContext,
  source: ByteSource,
): Promise<{ snapshots: readonly Snapshot[]; length: number }> {
  const { header, findings, geometry, signal } = context;
  try {
    const { snapshots, length } = await readSnapshotTable(source, header, signal);
    if (geometry.externalData && snapshots.length > 0) {
      const place = { what: 'snapshot table', at: header.snapshotsOffset };
      const message = () => 'An image with an external data file has snapshots.';
      findings.add('corruption', 'external-data', 'data-doubtful', place, message);
      return { snapshots: [], length };
    }
    return { snapshots, length };
  } catch (error) {
    if (!isQcow2Error(error, 'corrupt')) throw error;
    const place = { what: error.details.what ?? 'snapshot table', at: error.details.at ?? header.snapshotsOffset };
    findings.add('check-error', 'snapshot-table', 'data-doubtful', place, () => error.message);
    return { snapshots: [], length: 0 };
  }
}

/** Checks one entry of the snapshot table. Returns false when its L1 table cannot be walked. */
export function checkSnapshot(
  { findings, header, geometry }: CheckContext,
  snapshot: Snapshot,
  index: number,
): boolean {
  const place = { what: `snapshot ${index}`, at: header.snapshotsOffset };
  const { l1TableOffset, l1Size, extra } = snapshot;
  if (header.version === 3 && extra.length < V3_EXTRA_BYTES) {
    const message = () => `It has ${extra.length} bytes of extra data; version 3 needs ${V3_EXTRA_BYTES}.`;
    findings.add('corruption', 'snapshot-table', 'data-doubtful', place, message);
  }
  if (l1TableOffset % geometry.clusterSize !== 0) {
    const message = () => `Its L1 table is at ${hex(l1TableOffset)}, inside a cluster.`;
    findings.add('corruption', 'unaligned', 'data-doubtful', place, message);
    return false;
  }
  if (l1Size > MAX_L1_BYTES / 8) {
    const message = () => `Its L1 table has ${l1Size} entries: too many.`;
    findings.add('corruption', 'snapshot-table', 'data-doubtful', place, message);
    return false;
  }
  return true;
}
