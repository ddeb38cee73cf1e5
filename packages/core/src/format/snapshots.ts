/** Encodes and decodes the snapshot table: consecutive entries of variable length (spec: "Snapshots"). */
import { Qcow2Error } from '../errors.js';
import { alignUp, getUint64, setUint64, viewOf } from './bytes.js';
import { MAX_SNAPSHOT_EXTRA_BYTES } from './limits.js';

/** Length of the fixed part of an entry, bytes. */
export const SNAPSHOT_HEADER_BYTES = 40;

/** One entry of the snapshot table; offsets and sizes in bytes. */
export interface Snapshot {
  readonly l1TableOffset: number;
  /** Number of entries in its L1 table. */
  readonly l1Size: number;
  readonly dateSec: number;
  readonly dateNsec: number;
  /**
   * How long the guest had run, in nanoseconds, as two 32-bit words. As one number it would be inexact past 2^53, which
   * is 104 days.
   */
  readonly vmClockHigh: number;
  readonly vmClockLow: number;
  /** The 32-bit size of the VM state, in bytes. The extra data may override it. */
  readonly vmStateSize32: number;
  /** Raw extra data: VM state size, disk size, icount, and fields of later versions. */
  readonly extra: Uint8Array;
  readonly id: Uint8Array;
  readonly name: Uint8Array;
}

/**
 * Decodes `count` entries from the start of `bytes`, which are at file offset `place`. Returns null when the bytes end
 * before the table does; the caller then reads more.
 *
 * @throws {@link Qcow2Error} `corrupt` when an entry has more extra data than QEMU allows.
 */
export function decodeSnapshots(
  bytes: Uint8Array,
  count: number,
  tableOffset: number,
): { snapshots: Snapshot[]; length: number } | null {
  const view = viewOf(bytes);
  const snapshots: Snapshot[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + SNAPSHOT_HEADER_BYTES > bytes.length) return null;
    const idLength = view.getUint16(at + 12);
    const nameLength = view.getUint16(at + 14);
    const extraLength = view.getUint32(at + 36);
    if (extraLength > MAX_SNAPSHOT_EXTRA_BYTES) {
      const message = `Snapshot ${index} has ${extraLength} bytes of extra data; the maximum is 1024.`;
      throw new Qcow2Error('corrupt', message, { what: `snapshot ${index}`, at: tableOffset + at });
    }
    const extra = at + SNAPSHOT_HEADER_BYTES;
    const id = extra + extraLength;
    const name = id + idLength;
    if (name + nameLength > bytes.length) return null;
    snapshots.push({
      l1TableOffset: getUint64(view, at),
      l1Size: view.getUint32(at + 8),
      dateSec: view.getUint32(at + 16),
      dateNsec: view.getUint32(at + 20),
      vmClockHigh: view.getUint32(at + 24),
      vmClockLow: view.getUint32(at + 28),
      vmStateSize32: view.getUint32(at + 32),
      extra: bytes.slice(extra, id),
      id: bytes.slice(id, name),
      name: bytes.slice(name, name + nameLength),
    });
    at = alignUp(name + nameLength, 8);
  }
  return { snapshots, length: at };
}

/** Encodes a snapshot table: the inverse of {@link decodeSnapshots}. */
export function encodeSnapshots(snapshots: readonly Snapshot[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(snapshots.reduce((sum, snapshot) => sum + snapshotEntryLength(snapshot), 0));
  const view = viewOf(bytes);
  let at = 0;
  for (const snapshot of snapshots) {
    setUint64(view, at, snapshot.l1TableOffset);
    view.setUint32(at + 8, snapshot.l1Size);
    view.setUint16(at + 12, snapshot.id.length);
    view.setUint16(at + 14, snapshot.name.length);
    view.setUint32(at + 16, snapshot.dateSec);
    view.setUint32(at + 20, snapshot.dateNsec);
    view.setUint32(at + 24, snapshot.vmClockHigh);
    view.setUint32(at + 28, snapshot.vmClockLow);
    view.setUint32(at + 32, snapshot.vmStateSize32);
    view.setUint32(at + 36, snapshot.extra.length);
    let text = at + SNAPSHOT_HEADER_BYTES;
    for (const part of [snapshot.extra, snapshot.id, snapshot.name]) {
      bytes.set(part, text);
      text += part.length;
    }
    at += snapshotEntryLength(snapshot);
  }
  return bytes;
}

/** Length of an entry in the table, padding included, bytes. */
export function snapshotEntryLength({ extra, id, name }: Snapshot): number {
  return alignUp(SNAPSHOT_HEADER_BYTES + extra.length + id.length + name.length, 8);
}
