/** Maps a chain as `map.ts` does, and reads its data to find out which of them are zeros. */

import type { Transfer } from '../api/device.js';
import type { MapOptions } from '../api/options.js';
import type { Extent } from '../api/range.js';
import { progressOf } from '../engine/async/progress.js';
import { yieldToEventLoop } from '../engine/async/yield-to-event-loop.js';
import type { Qcow2Layer } from '../engine/layer/layer.js';
import { appendExtent } from '../engine/mapping/extents.js';
import { readGuest } from '../engine/read/execute.js';
import { mapBatches as mapChain, partOf } from './map.js';
import type { Piece, SalvagedExtents } from './salvage/salvaged-extents.js';
import { isZero } from './zero-bytes.js';

/** Bytes that are read at once: at least twice the largest cluster, so that a chunk has whole units. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * As the `mapBatches` of the map, with `zero` for units of the image's allocation whose bytes are zeros.
 *
 * @throws what the map and reads throw; what `onLost` throws; the signal's reason when it aborts.
 */
export async function* mapBatches(
  layer: Qcow2Layer,
  start: number,
  end: number,
  alive: () => void,
  options: MapOptions = {},
): AsyncGenerator<Extent[], void, undefined> {
  const { signal } = options;
  const progress = progressOf(options, 'map', end - start);
  const yieldIfDue = yieldToEventLoop();
  const salvaged = options.salvage ? await loadSalvage(layer, alive, options) : null;
  const detector = new ZeroDetector(layer, Math.min(CHUNK_BYTES, end - start), salvaged, signal);
  // The last extent is kept back, since the next chunk may continue it.
  let pending: Extent[] = [];
  for await (const batch of salvaged?.batches(start, end) ?? mapChain(layer, start, end, alive, { signal })) {
    for (const chunk of detector.chunksOf(batch)) {
      await yieldIfDue();
      signal?.throwIfAborted();
      alive();
      await detector.detect(chunk, pending);
      const last = pending.pop()!;
      const until = last.start + last.length;
      salvaged?.settle(until, end);
      if (pending.length > 0) yield pending;
      pending = [last];
      progress(until - start);
    }
  }
  if (pending.length > 0) yield pending;
}

async function loadSalvage(layer: Qcow2Layer, alive: () => void, options: MapOptions): Promise<SalvagedExtents> {
  const module = await import('./salvage/salvaged-extents.js');
  return new module.SalvagedExtents(layer, alive, options);
}

/** Reads the data of extents, and splits these into zeros and others. */
class ZeroDetector {
  readonly #layer: Qcow2Layer;
  readonly #salvaged: SalvagedExtents | null;
  readonly #signal: AbortSignal | undefined;
  /** The unit of allocation of the image: zeros are found in units of it. Bytes. */
  readonly #unit: number;
  readonly #memory: Uint8Array;

  constructor(
    layer: Qcow2Layer,
    chunkBytes: number,
    salvaged: SalvagedExtents | null,
    signal: AbortSignal | undefined,
  ) {
    this.#layer = layer;
    this.#salvaged = salvaged;
    this.#signal = signal;
    this.#unit = layer.geometry.subclusterSize;
    this.#memory = new Uint8Array(chunkBytes);
  }

  /** The extents in chunks with as much data as is read at once, cut between units. */
  *chunksOf(extents: readonly Extent[]): Generator<Piece[], void, undefined> {
    let chunk: Piece[] = [];
    let used = 0;
    for (const extent of extents) {
      for (let done = 0; done < extent.length; ) {
        const length = extent.data ? this.#fitting(extent, done, used) : extent.length;
        const bytes = extent.data ? this.#memory.subarray(used, used + length) : null;
        if (length > 0) chunk.push({ extent: partOf(extent, done, length), bytes });
        done += length;
        used += bytes?.length ?? 0;
        if (done === extent.length) continue;
        yield chunk;
        chunk = [];
        used = 0;
      }
    }
    if (chunk.length > 0) yield chunk;
  }

  /** Appends the extents of a chunk to `into`, those with data as their bytes are. */
  async detect(chunk: readonly Piece[], into: Extent[]): Promise<void> {
    for (const { extent, bytes } of await this.#read(chunk)) {
      if (bytes === null) appendExtent(into, extent);
      else this.#appendTested(extent, bytes, into);
    }
  }

  /** Bytes of the rest of an extent that fit behind those used in memory: all, or up to the border of a unit. */
  #fitting({ start, length }: Extent, done: number, used: number): number {
    const free = CHUNK_BYTES - used;
    if (length - done <= free) return length - done;
    const end = start + done + free;
    return Math.max(0, end - (end % this.#unit) - start - done);
  }

  /** Reads the data of a chunk. What cannot be read has no bytes in what it returns. */
  async #read(chunk: readonly Piece[]): Promise<readonly Piece[]> {
    const transfers: Transfer[] = [];
    for (const { extent, bytes } of chunk) if (bytes !== null) transfers.push({ at: extent.start, bytes });
    if (transfers.length === 0) return chunk;
    try {
      await readGuest(this.#layer, transfers, this.#signal);
      return chunk;
    } catch (error) {
      if (this.#salvaged === null) throw error;
      return this.#salvaged.readAgain(chunk, error);
    }
  }

  /** Appends runs of units that are all zeros, or none of them. */
  #appendTested(extent: Extent, bytes: Uint8Array, into: Extent[]): void {
    const unit = this.#unit;
    const unitEnd = (at: number) => Math.min(bytes.length, at + unit - ((extent.start + at) % unit));
    for (let at = 0; at < bytes.length; ) {
      let end = unitEnd(at);
      const zero = isZero(bytes, at, end);
      for (let next = end; next < bytes.length && isZero(bytes, next, unitEnd(next)) === zero; next = end) {
        end = unitEnd(next);
      }
      appendExtent(into, { ...partOf(extent, at, end - at), zero });
      at = end;
    }
  }
}
