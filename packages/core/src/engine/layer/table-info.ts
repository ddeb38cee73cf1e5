/** Describes the snapshots and bitmaps of an image as plain values. Loaded where an image has any. */

import type { BitmapInfo, SnapshotInfo } from '../../api/info.js';
import { BITMAP_FLAG } from '../../format/bitmap-flag.js';
import type { Bitmap } from '../../format/bitmaps.js';
import { decodeName } from '../../format/names.js';
import { decodeSnapshotExtra } from '../../format/snapshot-extra.js';
import type { Snapshot } from '../../format/snapshots.js';

/** Nanoseconds in a second, for the clock of a snapshot. */
const NANOSECONDS = 1_000_000_000n;

/** The internal snapshots (spec: "Snapshots"). */
export function snapshotInfos(snapshots: readonly Snapshot[]): SnapshotInfo[] {
  return snapshots.map(snapshotInfo);
}

function snapshotInfo(snapshot: Snapshot): SnapshotInfo {
  const { vmStateSize, diskSize, icount } = decodeSnapshotExtra(snapshot.extra);
  const clock = (BigInt(snapshot.vmClockHigh) << 32n) | BigInt(snapshot.vmClockLow);
  return {
    id: decodeName(snapshot.id),
    name: decodeName(snapshot.name),
    vmStateSize: vmStateSize ?? snapshot.vmStateSize32,
    dateSec: snapshot.dateSec,
    dateNsec: snapshot.dateNsec,
    vmClockSec: Number(clock / NANOSECONDS),
    vmClockNsec: Number(clock % NANOSECONDS),
    icount,
    diskSize,
  };
}

/** The persistent bitmaps (spec: "Bitmaps"). */
export function bitmapInfos(bitmaps: readonly Bitmap[]): BitmapInfo[] {
  return bitmaps.map(bitmapInfo);
}

function bitmapInfo({ name, granularityBits, flags }: Bitmap): BitmapInfo {
  const set: BitmapInfo['flags'][number][] = [];
  if ((flags >>> BITMAP_FLAG.inUse) & 1) set.push('in-use');
  if ((flags >>> BITMAP_FLAG.auto) & 1) set.push('auto');
  if ((flags >>> BITMAP_FLAG.extraDataCompatible) & 1) set.push('extra-data-compatible');
  return { name: decodeName(name), granularity: 2 ** granularityBits, flags: set };
}
