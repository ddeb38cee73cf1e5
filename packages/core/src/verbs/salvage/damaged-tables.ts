/** Turns tables into extents as a map does, but goes on behind what is damaged, and notes it as lost. */

import type { Extent, LostRange, Range } from '../../api/range.js';
import type { Layer, Qcow2Layer } from '../../engine/layer/layer.js';
import type { L1Range } from '../../engine/layer/table-cache.js';
import { appendExtent, extentOf } from '../../engine/mapping/extents.js';
import { nextRun, type Run } from '../../engine/mapping/runs.js';
import { withinBacking } from '../../engine/read/backing-file.js';
import { pastEnd } from '../../engine/read/past-end.js';
import { alignUp } from '../../format/bytes.js';
import { l2TableOffset } from '../../format/entries.js';
import { alignment, l2Faults, UNREADABLE } from '../../format/entry-faults.js';
import { l1IndexOf } from '../../format/geometry.js';
import { acquireTables, type ExtentsFrom, nextTables } from '../map.js';
import { isLoss, type LossError, lostRange } from './lost-ranges.js';

/** An L2 table, null for an unallocated one, or the error of loading it. */
type TableOrLoss = DataView | null | LossError;

/** The tables of a chain, some of them damaged. */
export class DamagedTables {
  readonly #layers: readonly Layer[];
  readonly #lost: (lost: LostRange) => void;
  /** Tables that their source could not read, by L1 index. They are not requested again: that may take seconds. */
  readonly #unloadable = new Map<Qcow2Layer, Map<number, LossError>>();

  /** `layers` are those of a chain, the image itself first. Lost ranges are passed to `lost`, in no order. */
  constructor(layers: readonly Layer[], lost: (lost: LostRange) => void) {
    this.#layers = layers;
    this.#lost = lost;
  }

  /** The extents of a layer; for {@link mapBatches}. */
  readonly extentsFrom: ExtentsFrom = async (layer, at, end, signal) => {
    const loaded = (l1Index: number) => layer.tables.has(l1Index) && !isDamagedL1(layer, l1Index);
    const { range, until } = nextTables(layer, at, end, loaded);
    const tables = await this.#load(layer, range, signal);
    const { bytesPerL2 } = layer.geometry;
    const extents: Extent[] = [];
    for (let index = 0, next = 0; index < tables.length; index = next) {
      const table = tables[index]!;
      const isLost = isLoss(table);
      next = index + 1;
      // Neighbours with the same error are one range: a disk may have millions of damaged entries.
      while (isLost && tables[next] === table) next++;
      const first = Math.max(at, (range.first + index) * bytesPerL2);
      const last = Math.min(until, (range.first + next) * bytesPerL2);
      if (isLost) this.#lose(layer, first, last, table, extents);
      else this.#addTable(layer, table, first, last, extents);
    }
    return { extents, until };
  };

  /** True if an earlier request found that a table that maps a part of `[at, end)` cannot be loaded. */
  hasUnloadable(at: number, end: number): boolean {
    for (const [{ geometry }, known] of this.#unloadable) {
      const last = l1IndexOf(geometry, end - 1);
      for (let l1Index = l1IndexOf(geometry, at); l1Index <= last; l1Index++) if (known.has(l1Index)) return true;
    }
    return false;
  }

  /** Loads the tables in one batch, without those that are known to be damaged. */
  async #load(layer: Qcow2Layer, range: L1Range, signal: AbortSignal | undefined): Promise<TableOrLoss[]> {
    const { first, last } = range;
    const loaded: TableOrLoss[] = new Array(last - first + 1).fill(null);
    const known = this.#unloadable.get(layer);
    const valid: L1Range[] = [];
    for (let l1Index = first; l1Index <= last; l1Index++) {
      const loss = known?.get(l1Index);
      const previous = l1Index > first ? loaded[l1Index - first - 1]! : null;
      if (loss !== undefined) loaded[l1Index - first] = loss;
      else if (!isDamagedL1(layer, l1Index)) addTo(valid, l1Index);
      else if (isLoss(previous) && previous.code === 'corrupt') loaded[l1Index - first] = previous;
      else await this.#loadValid(layer, first, [{ first: l1Index, last: l1Index }], loaded, signal);
    }
    await this.#loadValid(layer, first, valid, loaded, signal);
    return loaded;
  }

  /** Loads tables into `loaded`, whose first item is that of the L1 entry `base`. Halves a batch that fails. */
  async #loadValid(
    layer: Qcow2Layer,
    base: number,
    ranges: readonly L1Range[],
    loaded: TableOrLoss[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (ranges.length === 0) return;
    try {
      const tables = await acquireTables(layer, ranges, signal);
      ranges.forEach(({ first }, index) => {
        tables[index]!.forEach((table, step) => {
          loaded[first - base + step] = table;
        });
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (!isLoss(error)) throw error;
      const halves = halved(ranges);
      if (halves === null) {
        loaded[ranges[0]!.first - base] = this.#unloadableTable(layer, ranges[0]!.first, error, signal);
        return;
      }
      for (const half of halves) await this.#loadValid(layer, base, half, loaded, signal);
    }
  }

  /** Notes that a table cannot be loaded, and returns the error as reads throw it. */
  #unloadableTable(layer: Qcow2Layer, l1Index: number, error: LossError, signal: AbortSignal | undefined): LossError {
    const loss = this.#named(layer, error, signal);
    // What is wrong with an L1 entry is seen without a request.
    if (error.code === 'corrupt') return loss;
    const known = this.#unloadable.get(layer) ?? new Map<number, LossError>();
    this.#unloadable.set(layer, known.set(l1Index, loss));
    return loss;
  }

  /** Adds the extents of `[start, end)`, which one table maps. */
  #addTable(layer: Qcow2Layer, table: DataView | null, start: number, end: number, extents: Extent[]): void {
    const { geometry } = layer;
    const { clusterSize } = geometry;
    for (let at = start; at < end; ) {
      const clusterEnd = Math.min(end, at - (at % clusterSize) + clusterSize);
      // With subclusters a run ends, or fails, at a cluster behind it.
      const run = runOrLoss(() => nextRun(geometry, table, at, geometry.extendedL2 ? clusterEnd : end));
      if (!isLoss(run)) {
        this.#addRun(layer, run, at, extents);
        at += run.length;
        continue;
      }
      let next = clusterEnd;
      while (next < end && isDamagedEntry(layer, table!, next)) next = Math.min(end, next + clusterSize);
      this.#lose(layer, at, next, this.#named(layer, run), extents);
      at = next;
    }
  }

  /** Adds a run. The part that lies past the end of the file is lost. */
  #addRun(layer: Qcow2Layer, run: Run, start: number, extents: Extent[]): void {
    const stored = storedBytes(layer, run);
    if (stored > 0) appendExtent(extents, extentOf({ ...run, length: stored }, start, layer));
    if (stored === run.length) return;
    const host = run.host! + stored;
    const error = pastEnd(layer, run.kind === 'data' ? 'data' : 'compressed', host);
    this.#lose(layer, start + stored, start + run.length, this.#named(layer, error), extents);
  }

  #lose(layer: Qcow2Layer, start: number, end: number, error: LossError, extents: Extent[]): void {
    const range = { start, length: end - start };
    const { depth } = layer;
    appendExtent(extents, unreadableExtent(range, depth));
    this.#lost(lostRange(range, error));
  }

  /** The error with the name of its file, if that is a backing file. */
  #named({ depth }: Qcow2Layer, error: LossError, signal?: AbortSignal): LossError {
    let named: unknown = error;
    for (const layer of this.#layers.slice(0, depth).reverse()) {
      if (layer.kind === 'qcow2') named = withinBacking(named, layer.backingReference!, signal);
    }
    return named as LossError;
  }
}

/** The extent of a range that layer `depth` maps and that cannot be read. */
export function unreadableExtent({ start, length }: Range, depth: number): Extent {
  return { start, length, depth, present: true, zero: false, data: false, compressed: false, unreadable: true };
}

/** Bytes of a run, from its start on, that do not lie past the end of the file. */
function storedBytes({ geometry, source, unreadable }: Qcow2Layer, { kind, host, length }: Run): number {
  // An encrypted disk is not read anyway.
  if (host === null || unreadable !== null) return length;
  if (kind === 'compressed') return host < source.size ? length : 0;
  if (kind !== 'data' || geometry.externalData) return length;
  // The file's last cluster may be short.
  return Math.max(0, Math.min(length, alignUp(source.size, geometry.clusterSize) - host));
}

/** True if the L1 entry is sure to be refused when its table is acquired. */
function isDamagedL1({ geometry, tables, source }: Qcow2Layer, l1Index: number): boolean {
  // A table that is not on the medium yet can lie past the end of the file.
  if (tables.peek(l1Index) !== undefined) return false;
  const offset = l2TableOffset(tables.l1, l1Index);
  return alignment(offset, geometry.clusterSize) !== 0 || offset >= source.size;
}

function isDamagedEntry({ geometry }: Qcow2Layer, table: DataView, guest: number): boolean {
  const index = Math.floor((guest % geometry.bytesPerL2) / geometry.clusterSize);
  return (l2Faults(geometry, table, index, guest) & UNREADABLE) !== 0;
}

function runOrLoss(next: () => Run): Run | LossError {
  try {
    return next();
  } catch (error) {
    if (isLoss(error)) return error;
    throw error;
  }
}

/** Appends an index to ascending ranges. */
function addTo(ranges: L1Range[], index: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.last === index - 1) ranges[ranges.length - 1] = { first: last.first, last: index };
  else ranges.push({ first: index, last: index });
}

/** Two halves of ascending ranges; null for a single entry. */
function halved(ranges: readonly L1Range[]): [L1Range[], L1Range[]] | null {
  if (ranges.length > 1) {
    const middle = ranges.length >> 1;
    return [ranges.slice(0, middle), ranges.slice(middle)];
  }
  const { first, last } = ranges[0]!;
  if (first === last) return null;
  const middle = Math.floor((first + last) / 2);
  return [[{ first, last: middle }], [{ first: middle + 1, last }]];
}
