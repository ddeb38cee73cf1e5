/** Owns the reading of compressed clusters: fetch the streams in few transfers, inflate, keep what is read in part. */

import type { Done, Transfer } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import { after } from '../async/done.js';
import type { InflateJob } from '../layer/codec.js';
import type { Qcow2Layer } from '../layer/layer.js';
import type { CompressedPiece } from '../mapping/plan-read.js';

/** How many bytes of streams are fetched at once: enough for one large request, and a bound on memory. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Fills each piece from its compressed cluster.
 *
 * @throws {@link Qcow2Error} `corrupt` for a damaged stream.
 */
export function readCompressed(layer: Qcow2Layer, pieces: readonly CompressedPiece[], signal?: AbortSignal): Done {
  if (pieces.length === 0) return;
  return readBatches(
    layer,
    pieces.filter((piece) => !copyKept(layer, piece)),
    0,
    signal,
  );
}

/** Serves a piece from the clusters that were inflated before. */
function copyKept(layer: Qcow2Layer, { host, skip, into }: CompressedPiece): boolean {
  const cluster = layer.inflated.get(host);
  if (cluster === undefined) return false;
  into.set(cluster.subarray(skip, skip + into.length));
  return true;
}

/** One batch after the other, from `first` on. */
function readBatches(layer: Qcow2Layer, pieces: readonly CompressedPiece[], first: number, signal?: AbortSignal): Done {
  let from = first;
  while (from < pieces.length) {
    let to = from;
    let bytes = 0;
    while (to < pieces.length && (to === from || bytes + pieces[to]!.stored <= BATCH_BYTES))
      bytes += pieces[to++]!.stored;
    const done = readBatch(layer, pieces.slice(from, to), signal);
    from = to;
    if (done !== undefined) return done.then(() => readBatches(layer, pieces, to, signal));
  }
}

function readBatch(layer: Qcow2Layer, pieces: readonly CompressedPiece[], signal?: AbortSignal): Done {
  const { spans, length } = spansOf(layer, pieces);
  const buffer = layer.scratch.take(length);
  const transfers = spans.map(
    ({ at, end, place }): Transfer => ({ at, bytes: buffer.subarray(place, place + end - at) }),
  );
  return after(layer.source.read(transfers, signal), () => {
    signal?.throwIfAborted();
    return after(inflate(layer, pieces, spans, buffer, signal), () => layer.scratch.give(buffer));
  });
}

/** A stretch of the file that holds streams, and its place in the buffer. */
interface Span {
  readonly at: number;
  end: number;
  readonly place: number;
}

/** Streams that touch or overlap, as those of neighbouring clusters do in a shared sector, become one span. */
function spansOf(layer: Qcow2Layer, pieces: readonly CompressedPiece[]): { spans: Span[]; length: number } {
  const spans: Span[] = [];
  let length = 0;
  for (const { host, stored } of pieces) {
    if (host >= layer.source.size) throw pastEnd(layer, host);
    const last = spans.at(-1);
    const end = host + stored;
    if (last !== undefined && host >= last.at && host <= last.end) {
      length += Math.max(0, end - last.end);
      last.end = Math.max(last.end, end);
    } else {
      spans.push({ at: host, end, place: length });
      length += stored;
    }
  }
  return { spans, length };
}

function inflate(
  layer: Qcow2Layer,
  pieces: readonly CompressedPiece[],
  spans: readonly Span[],
  buffer: Uint8Array,
  signal?: AbortSignal,
): Done {
  const { clusterSize } = layer.geometry;
  const partial: { piece: CompressedPiece; cluster: Uint8Array }[] = [];
  let spanIndex = 0;
  const jobs = pieces.map((piece): InflateJob => {
    while (piece.host < spans[spanIndex]!.at || piece.host >= spans[spanIndex]!.end) spanIndex++;
    const place = spans[spanIndex]!.place + piece.host - spans[spanIndex]!.at;
    const input = buffer.subarray(place, place + piece.stored);
    if (piece.into.length === clusterSize) return { input, output: piece.into, at: piece.host };
    const cluster = new Uint8Array(clusterSize);
    partial.push({ piece, cluster });
    return { input, output: cluster, at: piece.host };
  });
  return after(layer.codec.inflate(jobs, signal), () => {
    layer.counters.inflatedClusters += jobs.length;
    for (const { piece, cluster } of partial) {
      piece.into.set(cluster.subarray(piece.skip, piece.skip + piece.into.length));
      layer.inflated.set(piece.host, cluster);
    }
  });
}

function pastEnd(layer: Qcow2Layer, at: number): Qcow2Error {
  const end = hex(layer.source.size);
  return new Qcow2Error(
    'corrupt',
    `The image has a compressed cluster at ${hex(at)}, but the file ends at ${end}. Is it cut short?`,
    { what: 'compressed cluster', at, fileSize: layer.source.size },
  );
}
