/** Reads many clusters in batches. From a source that waits, a batch is read while the one before is looked at. */
import type { Transfer } from '../../api/device.js';
import { asPromise } from '../../engine/async/done.js';
import type { CheckContext } from './check-context.js';

/** Bytes of a batch. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Bytes that are read at once from a source that does not wait: few enough to stay in the cache of the processor. */
const PIECE_BYTES = 1024 * 1024;

/** Clusters that are being read, or have been. */
interface Reading<Item> {
  readonly items: readonly Item[];
  readonly clusters: readonly Uint8Array[];
  readonly done: Promise<void> | undefined;
}

/** What is done with the clusters. */
export interface ClusterVisitor<Item> {
  /** Looks at the cluster of an item; its bytes are used again afterwards. */
  visit(item: Item, bytes: Uint8Array): Promise<void> | undefined;
  /** Called after each batch or part of one, with its last item. */
  afterBatch(last: Item): Promise<void>;
}

/** Reads the cluster at the offset of each item, and visits them in order. */
export async function readClusters<Item extends { readonly offset: number }>(
  context: CheckContext,
  items: AsyncIterable<Item> | Iterable<Item>,
  visitor: ClusterVisitor<Item>,
): Promise<void> {
  const reader = mayWait(context) ? new ReaderAhead<Item>(context) : new PieceReader<Item>(context);
  const clustersPerBatch = Math.max(1, BATCH_BYTES / context.geometry.clusterSize);
  let before: Iterable<Reading<Item>> = [];
  let batch: Item[] = [];
  const next = async () => {
    const readings = reader.start(batch);
    batch = [];
    for (const reading of before) await finish(context, reading, visitor);
    before = readings;
  };
  for await (const item of items) if (batch.push(item) === clustersPerBatch) await next();
  if (batch.length > 0) await next();
  for (const reading of before) await finish(context, reading, visitor);
}

/** True if the source returns promises: an empty batch shows it, and reads nothing. */
function mayWait({ source, signal }: CheckContext): boolean {
  const done = asPromise(source.read([], signal));
  // Why it failed is found out by the first read.
  done?.catch(() => {});
  return done !== undefined;
}

/** Starts to read a batch at once, into one of two buffers: the other one is being looked at. */
class ReaderAhead<Item extends { readonly offset: number }> {
  #free = new Uint8Array(0);
  #busy = new Uint8Array(0);

  constructor(private readonly context: CheckContext) {}

  start(batch: readonly Item[]): Iterable<Reading<Item>> {
    const buffer = grown(this.#free, batch.length * this.context.geometry.clusterSize);
    this.#free = this.#busy;
    this.#busy = buffer;
    return [startReading(this.context, batch, buffer)];
  }
}

/** Reads a batch in pieces, each when it is to be looked at, into one buffer. */
class PieceReader<Item extends { readonly offset: number }> {
  #buffer = new Uint8Array(0);

  constructor(private readonly context: CheckContext) {}

  *start(batch: readonly Item[]): Iterable<Reading<Item>> {
    const { clusterSize } = this.context.geometry;
    const length = Math.max(1, PIECE_BYTES / clusterSize);
    for (let first = 0; first < batch.length; first += length) {
      const piece = batch.slice(first, first + length);
      this.#buffer = grown(this.#buffer, piece.length * clusterSize);
      yield startReading(this.context, piece, this.#buffer);
    }
  }
}

/** A buffer of at least this length: the same one if it is long enough, since the first use of memory takes time. */
function grown(buffer: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  return buffer.length < length ? new Uint8Array(length) : buffer;
}

function startReading<Item extends { readonly offset: number }>(
  { source, geometry, signal }: CheckContext,
  items: readonly Item[],
  buffer: Uint8Array,
): Reading<Item> {
  signal?.throwIfAborted();
  const { clusterSize } = geometry;
  const clusters = items.map((_, number) => buffer.subarray(number * clusterSize, (number + 1) * clusterSize));
  const transfers = items.map(({ offset }, number): Transfer => ({ at: offset, bytes: clusters[number]! }));
  const done = asPromise(source.read(transfers, signal)) ?? undefined;
  // If the check ends before this is awaited, its failure has no other handler.
  done?.then(undefined, () => {});
  return { items, clusters, done };
}

async function finish<Item>(
  { signal }: CheckContext,
  { items, clusters, done }: Reading<Item>,
  visitor: ClusterVisitor<Item>,
): Promise<void> {
  if (done !== undefined) await done;
  signal?.throwIfAborted();
  for (let number = 0; number < items.length; number++) {
    const waits = visitor.visit(items[number]!, clusters[number]!);
    if (waits !== undefined) await waits;
  }
  await visitor.afterBatch(items.at(-1)!);
}
