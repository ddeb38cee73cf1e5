/**
 * Plans a read: what to fetch, from where, and into which part of the caller's buffer. Does no I/O, and is synchronous.
 */

import type { Transfer } from '../../api/device.js';
import type { Geometry } from '../../format/geometry.js';
import { nextRun, type Run } from './runs.js';

/** Part of a compressed cluster: inflate `stored` bytes from `host`, then take `into.length` bytes from `skip` on. */
export interface CompressedRead {
  readonly host: number;
  readonly stored: number;
  readonly skip: number;
  readonly into: Uint8Array;
}

/** The plan for one layer. Adjacent runs are merged: one transfer is one contiguous run in the file. */
export interface ReadPlan {
  /** From the image file, or from its external data file when it has one. */
  readonly transfers: Transfer[];
  readonly compressed: CompressedRead[];
  /** Buffers to fill with zeros. */
  readonly zeros: Uint8Array[];
  /** Unallocated in this layer, at guest offsets: read from the backing file, or zeros when there is none. */
  readonly unallocated: Transfer[];
}

/** A plan with nothing to do. */
export function emptyPlan(): ReadPlan {
  return { transfers: [], compressed: [], zeros: [], unallocated: [] };
}

/**
 * Adds a read at a guest offset to `plan`. `tables` are the L2 tables that map it, in order, null where there is none.
 *
 * @throws {@link Qcow2Error} `corrupt` when an entry contradicts the specification.
 */
export function planRead(
  geometry: Geometry,
  tables: readonly (DataView | null)[],
  read: Transfer,
  plan: ReadPlan,
): void {
  const { at: offset, bytes } = read;
  const end = offset + bytes.length;
  let tableIndex = 0;
  let tableEnd = offset - (offset % geometry.bytesPerL2) + geometry.bytesPerL2;
  // The run that is still growing: it ends where the kind changes or the host offsets are not contiguous.
  let open = null as Run | null;
  let openAt = offset;
  for (let at = offset; at < end; ) {
    if (at === tableEnd) {
      tableIndex++;
      tableEnd += geometry.bytesPerL2;
    }
    const run = nextRun(geometry, tables[tableIndex] ?? null, at, end);
    if (open !== null && continues(open, run)) {
      open = { ...open, length: open.length + run.length };
    } else {
      if (open !== null) addRun(geometry, open, openAt, read, plan);
      open = run;
      openAt = at;
    }
    at += run.length;
  }
  if (open !== null) addRun(geometry, open, openAt, read, plan);
}

/** True if `next` continues `run`, in guest and host offsets. */
function continues(run: Run, next: Run): boolean {
  if (run.kind !== next.kind || run.kind === 'compressed') return false;
  return run.kind !== 'data' || next.host === run.host! + run.length;
}

function addRun(geometry: Geometry, run: Run, at: number, read: Transfer, plan: ReadPlan): void {
  const whole = run.length === read.bytes.length;
  const bytes = whole ? read.bytes : read.bytes.subarray(at - read.at, at - read.at + run.length);
  switch (run.kind) {
    case 'data':
      plan.transfers.push({ at: run.host!, bytes });
      break;
    case 'compressed':
      plan.compressed.push({ host: run.host!, stored: run.stored, skip: at % geometry.clusterSize, into: bytes });
      break;
    case 'zero':
      plan.zeros.push(bytes);
      break;
    default:
      plan.unallocated.push({ at, bytes });
  }
}
