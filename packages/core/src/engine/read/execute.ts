/** Owns the reading of guest bytes: acquire the tables, plan, execute. Only the first and the last step may wait. */

import type { Done, Transfer } from '../../api/device.js';
import type { ImageReference } from '../../api/openable.js';
import { Qcow2Error } from '../../errors.js';
import { alignUp, hex } from '../../format/bytes.js';
import { l1IndexOf } from '../../format/geometry.js';
import { all } from '../async/done.js';
import { fixedView } from '../async/request-buffers.js';
import { isBase, type Qcow2Layer } from '../layer/layer.js';
import { emptyPlan, type Piece, planRead, type ReadPlan } from '../mapping/plan-read.js';
import { nextRun } from '../mapping/runs.js';
import { readCompressed } from './decompress.js';

/**
 * Fills every piece with the guest's bytes as `layer` and the layers behind it have them; past the layer's end that is
 * zeros. Answers at once when nothing has to wait.
 *
 * @throws {@link Qcow2Error} `corrupt`, `unsupported`, `reference-refused`, and what the sources throw.
 */
export function readPieces(layer: Qcow2Layer, pieces: readonly Piece[], signal?: AbortSignal): Done {
  const { gate } = layer;
  if (gate === null) return readLayer(layer, pieces, signal);
  const fixed = gate.busy ? fixedPieces(pieces) : pieces;
  return gate.reading(() => readLayer(layer, fixed, signal), signal);
}

/** As {@link readPieces}, for whoever holds the layer's lock, or when it has none. */
export function readLayer(layer: Qcow2Layer, pieces: readonly Piece[], signal?: AbortSignal): Done {
  const plain = pieces.length === 1 ? plainTransfer(layer, pieces[0]!) : null;
  if (plain !== null) return readTransfers(layer, [plain], signal);
  const inside = clip(layer, pieces);
  const ranges = inside.map(({ offset, into }) => ({
    first: l1IndexOf(layer.geometry, offset),
    last: l1IndexOf(layer.geometry, offset + into.length - 1),
  }));
  const { tables, loading } = layer.tables.acquire(ranges, signal);
  if (loading === undefined) return execute(layer, plan(layer, inside, tables), signal);
  const fixed = fixedPieces(inside);
  return loading.then(() => execute(layer, plan(layer, fixed, tables), signal));
}

/** The pieces as they are now: while they wait, a view can grow with its buffer. */
function fixedPieces(pieces: readonly Piece[]): Piece[] {
  return pieces.map(({ offset, into }) => ({ offset, into: fixedView(into) }));
}

/**
 * The transfer that a piece comes to when it is one run of data, mapped by one table in memory: most small reads are,
 * and what is done for the others would cost them as much as the call itself.
 */
function plainTransfer({ geometry, tables, size }: Qcow2Layer, { offset, into }: Piece): Transfer | null {
  const end = offset + into.length;
  if (end > size || into.length === 0 || (offset % geometry.bytesPerL2) + into.length > geometry.bytesPerL2)
    return null;
  const table = tables.peek(l1IndexOf(geometry, offset));
  if (table === undefined || table === null) return null;
  const { kind, length, host } = nextRun(geometry, table, offset, end);
  return kind === 'data' && length === into.length ? { at: host!, bytes: into } : null;
}

/** The pieces that lie on the layer's disk; what lies past it is filled with zeros. */
function clip(layer: Qcow2Layer, pieces: readonly Piece[]): readonly Piece[] {
  const { size } = layer;
  if (pieces.every(({ offset, into }) => offset + into.length <= size && into.length > 0)) return pieces;
  const inside: Piece[] = [];
  for (const { offset, into } of pieces) {
    const length = Math.max(0, Math.min(into.length, size - offset));
    if (length > 0) inside.push({ offset, into: into.subarray(0, length) });
    into.fill(0, length);
  }
  return inside;
}

function plan(layer: Qcow2Layer, pieces: readonly Piece[], held: readonly (DataView | null)[][]): ReadPlan {
  const result = emptyPlan();
  pieces.forEach((piece, index) => {
    planRead(layer.geometry, held[index]!, piece, result);
  });
  return result;
}

function execute(
  layer: Qcow2Layer,
  { transfers, compressed, zeros, unallocated }: ReadPlan,
  signal?: AbortSignal,
): Done {
  for (const bytes of zeros) bytes.fill(0);
  // The plain read, nearly every one there is, ends here.
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
  if (layer.data === null) throw refused(layer.dataReference!);
  if (!layer.geometry.externalData) refusePastEnd(layer, transfers);
  return layer.data.read(transfers, signal);
}

/** The file's last cluster may be short; a cluster that begins past the end means that the file was cut. */
function refusePastEnd(layer: Qcow2Layer, transfers: ReadPlan['transfers']): void {
  const { size } = layer.source;
  for (const { at, bytes } of transfers) {
    if (at + bytes.length <= size) continue;
    const end = alignUp(size, layer.geometry.clusterSize);
    if (at + bytes.length > end) {
      const first = Math.max(at, end);
      throw new Qcow2Error(
        'corrupt',
        `The image has data at ${hex(first)}, but the file ends at ${hex(size)}. Is it cut short?`,
        { what: 'data cluster', at: first, fileSize: size },
      );
    }
  }
}

function readUnallocated(layer: Qcow2Layer, pieces: readonly Piece[], signal?: AbortSignal): Done {
  if (pieces.length === 0) return;
  if (isBase(layer)) {
    for (const { into } of pieces) into.fill(0);
    return;
  }
  if (layer.backing === null) throw refused(layer.backingReference!);
  return layer.backing.read(pieces, signal);
}

function refused({ kind, name, depth }: ImageReference): Qcow2Error {
  const what = `${kind} file`;
  return new Qcow2Error('reference-refused', `The read needs the ${what} "${name}", which was not handed over.`, {
    what,
    name,
    depth,
  });
}
