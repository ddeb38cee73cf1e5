/** Inflates every compressed cluster, to see whether it gives exactly one cluster. */
import { ClusterCounts } from '../../../engine/allocation/cluster-counts.js';
import { progressOf } from '../../../engine/async/progress.js';
import type { Codec, InflateJob } from '../../../engine/layer/codec.js';
import { isQcow2Error } from '../../../errors.js';
import { viewOf } from '../../../format/bytes.js';
import { getL2Entry, isCompressed, l2TableOffset } from '../../../format/entries.js';
import type { CheckContext } from '../check-context.js';
import type { Counting } from '../count-references.js';
import { type L1Table, l2EntryPlace } from '../l1-table.js';
import type { Place } from '../place.js';
import { readClusters } from '../read-clusters.js';

/** Bytes of clusters that are inflated at once. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** One compressed cluster. */
interface Stream {
  readonly host: number;
  readonly length: number;
  readonly place: Place;
}

/** An L2 table and the number of its L1 entry. */
interface L2Table {
  readonly index: number;
  readonly offset: number;
}

/** Inflates the compressed clusters of `tables`, those of an L2 table that several share once. */
export async function checkStreams(
  context: CheckContext,
  tables: readonly L1Table[],
  { options, yieldIfDue }: Counting,
  codec: Codec,
): Promise<void> {
  const { geometry } = context;
  const entries = tables.reduce((sum, table) => sum + table.entries, 0);
  const progress = progressOf(options, 'streams', entries * geometry.bytesPerL2);
  const seen = new ClusterCounts(context.clusters + 1);
  let before = 0;
  for (const table of tables) {
    const batch = new StreamBatch(context, codec, async (guest) => {
      progress(before * geometry.bytesPerL2 + guest);
      await yieldIfDue();
    });
    const l1 = viewOf(await context.read(table.at, table.entries * 8));
    await readClusters(context, unseenTables(context, l1, seen), {
      visit: (l2, bytes) => batch.addTable(table, l2, viewOf(bytes)),
      afterBatch: yieldIfDue,
    });
    await batch.inflate();
    before += table.entries;
    progress(before * geometry.bytesPerL2);
  }
}

/** The L2 tables of an L1 table that were not seen yet. */
function* unseenTables({ fileSize, geometry }: CheckContext, l1: DataView, seen: ClusterCounts): Generator<L2Table> {
  for (let index = 0; index * 8 + 8 <= l1.byteLength; index++) {
    const offset = l2TableOffset(l1, index);
    if (offset === 0 || offset >= fileSize) continue;
    if (seen.add(Math.floor(offset / geometry.clusterSize), 1)) yield { index, offset };
  }
}

/** Streams that are inflated together. */
class StreamBatch {
  readonly #streamsPerBatch: number;
  readonly #output: Uint8Array;
  #streams: Stream[] = [];

  /** `done` is called after each batch, with the guest offset up to which the disk was checked. */
  constructor(
    private readonly context: CheckContext,
    private readonly codec: Codec,
    private readonly done: (guest: number) => Promise<void>,
  ) {
    const { clusterSize } = context.geometry;
    this.#streamsPerBatch = Math.max(1, BATCH_BYTES / clusterSize);
    this.#output = new Uint8Array(this.#streamsPerBatch * clusterSize);
  }

  /** Adds the streams of an L2 table, and inflates them when there are enough. */
  async addTable(l1: L1Table, { index, offset }: L2Table, table: DataView): Promise<void> {
    const { geometry } = this.context;
    for (let entry = 0; entry < geometry.l2Entries; entry++) {
      if (!isCompressed(geometry, table, entry)) continue;
      const mapping = getL2Entry(geometry, table, entry);
      // One that is past the end of the file is reported as that.
      if (mapping.kind !== 'compressed' || this.context.isPastEnd(mapping.host, mapping.length)) continue;
      const place = l2EntryPlace(geometry, l1, index, offset, entry);
      if (this.#streams.push({ host: mapping.host, length: mapping.length, place }) < this.#streamsPerBatch) continue;
      await this.inflate();
      await this.done(index * geometry.bytesPerL2 + entry * geometry.clusterSize);
    }
  }

  /** Inflates what was added. */
  async inflate(): Promise<void> {
    const streams = this.#streams.sort((a, b) => a.host - b.host);
    this.#streams = [];
    if (streams.length === 0) return;
    const { signal, geometry } = this.context;
    const inputs = await this.#read(streams);
    signal?.throwIfAborted();
    const jobs = streams.map(({ host }, number): InflateJob => {
      const output = this.#output.subarray(number * geometry.clusterSize, (number + 1) * geometry.clusterSize);
      return { input: inputs[number]!, output, at: host };
    });
    if ((await this.#fault(jobs)) === null) return;
    for (const [number, job] of jobs.entries()) {
      const message = await this.#fault([job]);
      if (message === null) continue;
      this.context.findings.add('extra', 'compressed-stream', 'data-doubtful', streams[number]!.place, () => message);
    }
  }

  /** Returns why a job failed; null when none did. */
  async #fault(jobs: readonly InflateJob[]): Promise<string | null> {
    try {
      await this.codec.inflate(jobs, this.context.signal);
      return null;
    } catch (error) {
      if (!isQcow2Error(error, 'corrupt', 'unsupported')) throw error;
      return error.message;
    }
  }

  /** Reads the streams, in ascending order; those that touch with one transfer. */
  async #read(streams: readonly Stream[]): Promise<Uint8Array[]> {
    const { source, signal } = this.context;
    const joined: { at: number; end: number }[] = [];
    for (const { host, length } of streams) {
      const last = joined.at(-1);
      if (last !== undefined && host <= last.end) last.end = Math.max(last.end, host + length);
      else joined.push({ at: host, end: host + length });
    }
    const transfers = joined.map(({ at, end }) => ({ at, bytes: new Uint8Array(end - at) }));
    await source.read(transfers, signal);
    let number = 0;
    return streams.map(({ host, length }) => {
      while (host >= joined[number]!.end) number++;
      const start = host - joined[number]!.at;
      return transfers[number]!.bytes.subarray(start, start + length);
    });
  }
}
