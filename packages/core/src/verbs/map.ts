/** Maps a whole chain: where every guest byte is stored, as in `qemu-img map`. */

import type { OperationOptions } from '../api/options.js';
import type { Extent } from '../api/range.js';
import { progressOf } from '../engine/async/progress.js';
import { yieldToEventLoop } from '../engine/async/yield-to-event-loop.js';
import type { Layer, Qcow2Layer } from '../engine/layer/layer.js';
import { isBase } from '../engine/layer/layer.js';
import { type L1Range, nextEntries } from '../engine/layer/table-cache.js';
import { appendExtent, layerExtents } from '../engine/mapping/extents.js';
import { l1IndexOf } from '../format/geometry.js';

/**
 * The extents of `[start, end)` in batches, adjacent ones of one kind merged, also from batch to batch. `alive` throws
 * when the image is no longer open.
 *
 * @throws {@link Qcow2Error} `corrupt`, and what the sources throw; the signal's reason when it aborts.
 */
export async function* mapBatches(
  layer: Layer,
  start: number,
  end: number,
  alive: () => void,
  options?: OperationOptions,
  extentsFrom: ExtentsFrom = readExtents,
): AsyncGenerator<Extent[], void, undefined> {
  const progress = progressOf(options, 'map', end - start);
  // The last extent is kept back, since the next batch may continue it.
  let pending: Extent[] = [];
  const run = { signal: options?.signal, yieldIfDue: yieldToEventLoop(), extentsFrom };
  for await (const batch of layerBatches(layer, start, end, run)) {
    alive();
    for (const extent of batch) appendExtent(pending, extent);
    const last = pending.pop();
    if (pending.length > 0) yield pending;
    pending = last === undefined ? [] : [last];
    if (last !== undefined) progress(last.start + last.length - start);
  }
  if (pending.length > 0) yield pending;
}

/** Returns the first extents of `[at, end)` in one layer. */
export type ExtentsFrom = (
  layer: Qcow2Layer,
  at: number,
  end: number,
  signal: AbortSignal | undefined,
) => Promise<Mapped>;

/** Extents of a layer, and the guest offset up to which they map. */
export interface Mapped {
  readonly extents: Extent[];
  readonly until: number;
}

/** What all layers of one map share: its signal, its yields to the event loop, and how it reads extents. */
interface MapRun {
  readonly signal: AbortSignal | undefined;
  readonly yieldIfDue: () => Promise<void>;
  readonly extentsFrom: ExtentsFrom;
}

async function* layerBatches(
  layer: Layer,
  start: number,
  end: number,
  run: MapRun,
): AsyncGenerator<Extent[], void, undefined> {
  if (start >= end) return;
  if (layer.kind === 'raw') {
    yield [rawExtent(layer.depth, start, end - start)];
    return;
  }
  // The disk may become shorter meanwhile.
  for (let at = start; at < Math.min(end, layer.size); ) {
    await run.yieldIfDue();
    run.signal?.throwIfAborted();
    const { extents, until } = await run.extentsFrom(layer, at, Math.min(end, layer.size), run.signal);
    if (isBase(layer)) yield extents.map(unallocatedAsZero);
    else yield* throughBacking(layer, extents, run);
    at = until;
  }
}

async function readExtents(
  layer: Qcow2Layer,
  at: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Mapped> {
  const { range, until } = nextTables(layer, at, end);
  const [tables] = await acquireTables(layer, [range], signal);
  return { extents: layerExtents(layer.geometry, layer, tables!, at, until), until };
}

/** Loads L2 tables. Returns those of each range, in order, null for unallocated ones. */
export async function acquireTables(
  layer: Qcow2Layer,
  ranges: readonly L1Range[],
  signal: AbortSignal | undefined,
): Promise<(DataView | null)[][]> {
  const load = async () => {
    const { tables, loading } = layer.tables.acquire(ranges, signal);
    await loading;
    return tables;
  };
  // While a request changes the tables, they may refer to data that are not written yet, or already freed.
  return layer.lock === null ? load() : layer.lock.reading(load, signal);
}

/**
 * The next tables of `[at, end)`, about 4 MiB of those that are `loaded`, and the guest offset up to which they map.
 */
export function nextTables(
  layer: Qcow2Layer,
  at: number,
  end: number,
  loaded: (l1Index: number) => boolean = (l1Index) => layer.tables.has(l1Index),
): { range: L1Range; until: number } {
  const { geometry } = layer;
  const range = nextEntries(geometry, l1IndexOf(geometry, at), l1IndexOf(geometry, end - 1), loaded);
  return { range, until: Math.min(end, (range.last + 1) * geometry.bytesPerL2) };
}

/** The extents of a layer, with unallocated ones replaced by those of its backing chain. */
async function* throughBacking(
  layer: Qcow2Layer,
  extents: readonly Extent[],
  run: MapRun,
): AsyncGenerator<Extent[], void, undefined> {
  let batch: Extent[] = [];
  for (const extent of extents) {
    if (extent.present) {
      batch.push(extent);
      continue;
    }
    const { backing } = layer;
    if (backing === null) {
      batch.push(unknownExtent(extent, layer.depth + 1));
      continue;
    }
    const inside = Math.max(0, Math.min(extent.length, backing.layer.size - extent.start));
    const parts = layerBatches(backing.layer, extent.start, extent.start + inside, run);
    for await (const part of backing.within(parts, run.signal)) {
      if (part.length < 1024) {
        batch.push(...part);
        continue;
      }
      if (batch.length > 0) yield batch;
      yield part;
      batch = [];
    }
    // Past the end of a shorter backing file the disk reads as zeros.
    if (inside < extent.length) batch.push(unallocatedAsZero(partOf(extent, inside, extent.length - inside)));
  }
  if (batch.length > 0) yield batch;
}

function rawExtent(depth: number, start: number, length: number): Extent {
  return { start, length, depth, present: true, zero: false, data: true, compressed: false, offset: start };
}

function unallocatedAsZero(extent: Extent): Extent {
  if (!extent.present) extent.zero = true;
  return extent;
}

function unknownExtent({ start, length }: Extent, depth: number): Extent {
  return { start, length, depth, present: false, zero: false, data: false, compressed: false };
}

/** The `length` bytes of an extent from its byte `skip` on. */
export function partOf(extent: Extent, skip: number, length: number): Extent {
  const part = { ...extent, start: extent.start + skip, length };
  if (extent.offset !== undefined) part.offset = extent.offset + skip;
  return part;
}
