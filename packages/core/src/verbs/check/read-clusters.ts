/** Reads many clusters in batches. Each batch is read while the one before is looked at. */
import type { Transfer } from '../../api/device.js';
import { asPromise } from '../../engine/async/done.js';
import type { CheckContext } from './check-context.js';

/** Bytes of a batch. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** A batch that is being read. */
interface Reading<Item> {
  readonly items: readonly Item[];
  readonly clusters: readonly Uint8Array[];
  readonly done: Promise<void> | undefined;
}

/** What is done with the clusters. */
export interface ClusterVisitor<Item> {
  /** Looks at the cluster of an item; its bytes are used again afterwards. */
  visit(item: Item, bytes: Uint8Array): Promise<void> | undefined;
  /** Called after each batch, with its last item. */
  afterBatch(last: Item): Promise<void>;
}

/** Reads the cluster at the offset of each item, and visits them in order. */
export async function readClusters<Item extends { readonly offset: number }>(
  context: CheckContext,
  items: AsyncIterable<Item> | Iterable<Item>,
  visitor: ClusterVisitor<Item>,
): Promise<void> {
  const clustersPerBatch = Math.max(1, BATCH_BYTES / context.geometry.clusterSize);
  const buffers = [new Uint8Array(0), new Uint8Array(0)];
  let before: Reading<Item> | null = null;
  let batch: Item[] = [];
  const next = async () => {
    const length = batch.length * context.geometry.clusterSize;
    let buffer = buffers.shift()!;
    if (buffer.length < length) buffer = new Uint8Array(length);
    buffers.push(buffer);
    const reading = startReading(context, batch, buffer);
    batch = [];
    if (before !== null) await finish(context, before, visitor);
    before = reading;
  };
  for await (const item of items) if (batch.push(item) === clustersPerBatch) await next();
  if (batch.length > 0) await next();
  if (before !== null) await finish(context, before, visitor);
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
