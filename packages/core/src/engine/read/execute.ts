/** Reads guest bytes: acquires the tables, plans, executes. Only the first and the last step may wait. */

import type { Done, Transfer } from '../../api/device.js';
import type { ImageReference } from '../../api/openable.js';
import { Qcow2Error } from '../../errors.js';
import { alignUp } from '../../format/bytes.js';
import { l1IndexOf } from '../../format/geometry.js';
import { all } from '../async/done.js';
import { fixedView } from '../async/request-buffers.js';
import { isBase, type Qcow2Layer } from '../layer/layer.js';
import { emptyPlan, planRead, type ReadPlan } from '../mapping/plan-read.js';
import { nextRun } from '../mapping/runs.js';
import { readCompressed } from './decompress.js';
import { pastEnd } from './past-end.js';

/**
 * Fills the bytes of every transfer, at its guest offset, from `layer` and its backing chain; past the layer's end with
 * zeros. Synchronous when nothing has to wait.
 *
 * @throws {@link Qcow2Error} `corrupt`, `unsupported`, `reference-refused`, and what the sources throw.
 */
export function readGuest(layer: Qcow2Layer, transfers: readonly Transfer[], signal?: AbortSignal): Done {
  const { lock } = layer;
  if (lock === null) return readLayer(layer, transfers, signal);
  const still = lock.busy ? fixed(transfers) : transfers;
  return lock.reading(() => readLayer(layer, still, signal), signal);
}

/** As {@link readGuest}, when the layer has no lock or the caller has it. */
export function readLayer(layer: Qcow2Layer, transfers: readonly Transfer[], signal?: AbortSignal): Done {
  const plain = transfers.length === 1 ? plainTransfer(layer, transfers[0]!) : null;
  if (plain !== null) return readTransfers(layer, [plain], signal);
  const inside = clip(layer, transfers);
  const ranges = inside.map(({ at, bytes }) => ({
    first: l1IndexOf(layer.geometry, at),
    last: l1IndexOf(layer.geometry, at + bytes.length - 1),
  }));
  const { tables, loading } = layer.tables.acquire(ranges, signal);
  if (loading === undefined) return execute(layer, plan(layer, inside, tables), signal);
  const still = fixed(inside);
  return loading.then(() => execute(layer, plan(layer, still, tables), signal));
}

/** The transfers with views of fixed length: while they wait, a view can grow with its buffer. */
function fixed(transfers: readonly Transfer[]): Transfer[] {
  return transfers.map(({ at, bytes }) => ({ at, bytes: fixedView(bytes) }));
}

/**
 * The file's transfer for a read of one run of data, mapped by one table in memory; null for other reads. Most small
 * reads are like this, and the general path would cost as much as the call itself.
 */
function plainTransfer({ geometry, tables, size }: Qcow2Layer, { at, bytes }: Transfer): Transfer | null {
  const end = at + bytes.length;
  if (end > size || bytes.length === 0 || (at % geometry.bytesPerL2) + bytes.length > geometry.bytesPerL2) return null;
  const table = tables.peek(l1IndexOf(geometry, at));
  if (table === undefined || table === null) return null;
  const { kind, length, host } = nextRun(geometry, table, at, end);
  return kind === 'data' && length === bytes.length ? { at: host!, bytes } : null;
}

/** The transfers that lie on the layer's disk. Bytes past its end are filled with zeros. */
function clip(layer: Qcow2Layer, transfers: readonly Transfer[]): readonly Transfer[] {
  const { size } = layer;
  if (transfers.every(({ at, bytes }) => at + bytes.length <= size && bytes.length > 0)) return transfers;
  const inside: Transfer[] = [];
  for (const { at, bytes } of transfers) {
    const length = Math.max(0, Math.min(bytes.length, size - at));
    if (length > 0) inside.push({ at, bytes: bytes.subarray(0, length) });
    bytes.fill(0, length);
  }
  return inside;
}

function plan(layer: Qcow2Layer, transfers: readonly Transfer[], tables: readonly (DataView | null)[][]): ReadPlan {
  const result = emptyPlan();
  transfers.forEach((transfer, index) => {
    planRead(layer.geometry, tables[index]!, transfer, result);
  });
  return result;
}

function execute(
  layer: Qcow2Layer,
  { transfers, compressed, zeros, unallocated }: ReadPlan,
  signal?: AbortSignal,
): Done {
  for (const bytes of zeros) bytes.fill(0);
  // The fast path: most reads need nothing else.
  if (compressed.length === 0 && unallocated.length === 0) return readTransfers(layer, transfers, signal);
  return all([
    () => readTransfers(layer, transfers, signal),
    () => readCompressed(layer, compressed, signal),
    () => readUnallocated(layer, unallocated, signal),
  ]);
}

function readTransfers(layer: Qcow2Layer, transfers: ReadPlan['transfers'], signal?: AbortSignal): Done {
  if (transfers.length === 0) return;
  if (layer.unreadable !== null) throw layer.unreadable;
  if (layer.data === null) throw fileNotProvided(layer.dataReference!);
  if (!layer.geometry.externalData) refusePastEnd(layer, transfers);
  return layer.data.read(transfers, signal);
}

/** The file's last cluster may be short. A cluster that begins past the end means that the file was truncated. */
function refusePastEnd(layer: Qcow2Layer, transfers: ReadPlan['transfers']): void {
  const { size } = layer.source;
  for (const { at, bytes } of transfers) {
    if (at + bytes.length <= size) continue;
    const end = alignUp(size, layer.geometry.clusterSize);
    if (at + bytes.length > end) throw pastEnd(layer, 'data', Math.max(at, end));
  }
}

function readUnallocated(layer: Qcow2Layer, transfers: readonly Transfer[], signal?: AbortSignal): Done {
  if (transfers.length === 0) return;
  if (isBase(layer)) {
    for (const { bytes } of transfers) bytes.fill(0);
    return;
  }
  if (layer.backing === null) throw fileNotProvided(layer.backingReference!);
  return layer.backing.read(transfers, signal);
}

function fileNotProvided({ kind, name, depth }: ImageReference): Qcow2Error {
  const what = `${kind} file`;
  return new Qcow2Error('reference-refused', `The read needs the ${what} "${name}", which was not provided.`, {
    what,
    name,
    depth,
  });
}
