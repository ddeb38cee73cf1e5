/** Decodes the known fields of a snapshot's extra data (spec: "Snapshots"). */
import { getUint64, setUint64, viewOf } from './bytes.js';

/** Smallest length of a snapshot's extra data in version 3, bytes. */
export const V3_EXTRA_BYTES = 16;

/** The known fields of a snapshot's extra data. A field is undefined where the data ends before it. */
export interface SnapshotExtra {
  readonly vmStateSize: number | undefined;
  readonly diskSize: number | undefined;
  /** Undefined also for -1, which means that icount was off. */
  readonly icount: number | undefined;
}

/** Decodes the known fields of a snapshot's extra data. */
export function decodeSnapshotExtra(extra: Uint8Array): SnapshotExtra {
  const view = viewOf(extra);
  const icountOff = extra.length < 24 || (view.getUint32(16) === 0xffff_ffff && view.getUint32(20) === 0xffff_ffff);
  return {
    vmStateSize: extra.length >= 8 ? getUint64(view, 0) : undefined,
    diskSize: extra.length >= 16 ? getUint64(view, 8) : undefined,
    icount: icountOff ? undefined : getUint64(view, 16),
  };
}

/** The extra data of a new snapshot without machine state, of a disk of `diskSize` bytes. */
export function encodeSnapshotExtra(diskSize: number, icount: bigint = -1n): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = viewOf(bytes);
  setUint64(view, 8, diskSize);
  view.setBigInt64(16, icount);
  return bytes;
}
