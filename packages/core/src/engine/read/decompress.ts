/**
 * Reads compressed clusters: fetches the streams in few transfers, inflates them, and caches those that are read in
 * part.
 */

import type { Done, Transfer } from '../../api/device.js';
import { after } from '../async/done.js';
import type { InflateJob } from '../layer/codec.js';
import type { Qcow2Layer } from '../layer/layer.js';
import type { CompressedRead } from '../mapping/plan-read.js';
import { pastEnd } from './past-end.js';

/** Bytes of streams that are fetched at once: enough for one large request, and a bound on memory. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Carries out each read from its compressed cluster.
 *
 * @throws {@link Qcow2Error} `corrupt` for a damaged stream.
 */
export function readCompressed(layer: Qcow2Layer, reads: readonly CompressedRead[], signal?: AbortSignal): Done {
  if (reads.length === 0) return;
  return readBatches(
    layer,
    reads.filter((read) => !copyCached(layer, read)),
    0,
    signal,
  );
}

/** Carries out a read from the cache of inflated clusters; returns false if its cluster is not there. */
function copyCached(layer: Qcow2Layer, { host, skip, into }: CompressedRead): boolean {
  const cluster = layer.inflated.get(host);
  if (cluster === undefined) return false;
  into.set(cluster.subarray(skip, skip + into.length));
  return true;
}

/** Reads the batches one after the other, from `first` on. */
function readBatches(layer: Qcow2Layer, reads: readonly CompressedRead[], first: number, signal?: AbortSignal): Done {
  let from = first;
  while (from < reads.length) {
    let to = from;
    let bytes = 0;
    while (to < reads.length && (to === from || bytes + reads[to]!.stored <= BATCH_BYTES)) bytes += reads[to++]!.stored;
    const done = readBatch(layer, reads.slice(from, to), signal);
    from = to;
    if (done !== undefined) return done.then(() => readBatches(layer, reads, to, signal));
  }
}

function readBatch(layer: Qcow2Layer, reads: readonly CompressedRead[], signal?: AbortSignal): Done {
  const { joined, length } = joinStreams(layer, reads);
  const buffer = layer.scratch.take(length);
  const transfers = joined.map(
    ({ at, end, bufferOffset }): Transfer => ({ at, bytes: buffer.subarray(bufferOffset, bufferOffset + end - at) }),
  );
  return after(layer.source.read(transfers, signal), () => {
    signal?.throwIfAborted();
    return after(inflate(layer, reads, joined, buffer, signal), () => layer.scratch.give(buffer));
  });
}

/** Streams that are contiguous in the file, and their place in the buffer. */
interface JoinedStreams {
  readonly at: number;
  end: number;
  readonly bufferOffset: number;
}

/** Joins streams that touch or overlap, as those of adjacent clusters do in a shared sector. */
function joinStreams(layer: Qcow2Layer, reads: readonly CompressedRead[]): { joined: JoinedStreams[]; length: number } {
  const joined: JoinedStreams[] = [];
  let length = 0;
  for (const { host, stored } of reads) {
    if (host >= layer.source.size) throw pastEnd(layer, 'compressed', host);
    const last = joined.at(-1);
    const end = host + stored;
    if (last !== undefined && host >= last.at && host <= last.end) {
      length += Math.max(0, end - last.end);
      last.end = Math.max(last.end, end);
    } else {
      joined.push({ at: host, end, bufferOffset: length });
      length += stored;
    }
  }
  return { joined, length };
}

function inflate(
  layer: Qcow2Layer,
  reads: readonly CompressedRead[],
  joined: readonly JoinedStreams[],
  buffer: Uint8Array,
  signal?: AbortSignal,
): Done {
  const { clusterSize } = layer.geometry;
  const partial: { read: CompressedRead; cluster: Uint8Array }[] = [];
  let joinedIndex = 0;
  const jobs = reads.map((read): InflateJob => {
    while (read.host < joined[joinedIndex]!.at || read.host >= joined[joinedIndex]!.end) joinedIndex++;
    const from = joined[joinedIndex]!.bufferOffset + read.host - joined[joinedIndex]!.at;
    const input = buffer.subarray(from, from + read.stored);
    if (read.into.length === clusterSize) return { input, output: read.into, at: read.host };
    const cluster = new Uint8Array(clusterSize);
    partial.push({ read, cluster });
    return { input, output: cluster, at: read.host };
  });
  return after(layer.codec.inflate(jobs, signal), () => {
    layer.counters.inflatedClusters += jobs.length;
    for (const { read, cluster } of partial) {
      read.into.set(cluster.subarray(read.skip, read.skip + read.into.length));
      layer.inflated.set(read.host, cluster);
    }
  });
}
