/** Reads the snapshot table, whose length is known only after its entries are decoded. */

import type { ByteSource } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import type { Header } from '../../format/header.js';
import { MAX_SNAPSHOT_TABLE_BYTES } from '../../format/limits.js';
import { decodeSnapshots, type Snapshot } from '../../format/snapshots.js';
import { readBytes } from './read-bytes.js';

/** The snapshot table: its entries, and its length in bytes. */
export interface SnapshotTable {
  readonly snapshots: readonly Snapshot[];
  readonly length: number;
}

/**
 * Reads the snapshot table; returns its length in bytes, too.
 *
 * @throws {@link Qcow2Error} `corrupt`, and what the source throws.
 */
export function readSnapshotTable(
  source: ByteSource,
  header: Header,
  signal: AbortSignal | undefined,
): Promise<SnapshotTable> {
  return continueSnapshotTable(source, header, new Uint8Array(0), signal);
}

/**
 * As {@link readSnapshotTable}, from the bytes of the table that were read already. Reads more of it if they are too
 * few.
 *
 * @throws {@link Qcow2Error} `corrupt`, and what the source throws.
 */
export async function continueSnapshotTable(
  source: ByteSource,
  { snapshotCount, snapshotsOffset }: Header,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<SnapshotTable> {
  const maxBytes = Math.min(MAX_SNAPSHOT_TABLE_BYTES, Math.max(0, source.size - snapshotsOffset));
  let table = bytes.subarray(0, Math.min(bytes.length, maxBytes));
  for (;;) {
    const decoded = decodeSnapshots(table, snapshotCount, snapshotsOffset);
    if (decoded !== null) return decoded;
    if (table.length >= maxBytes) {
      const message = `The snapshot table at ${hex(snapshotsOffset)} runs past the end of the file or past 64 MiB.`;
      throw new Qcow2Error('corrupt', message, { what: 'snapshot table', at: snapshotsOffset });
    }
    table = await readBytes(source, snapshotsOffset, Math.min(maxBytes, Math.max(4096, table.length * 4)), signal);
  }
}
