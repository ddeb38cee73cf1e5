/** The steps of zeroing and discarding: changes L2 entries where they can read as zeros, and writes zeros elsewhere. */
import { alignUp } from '../../format/bytes.js';
import { l1IndexOf } from '../../format/geometry.js';
import type { Steps } from '../async/steps.js';
import { isBase, type Qcow2Layer } from '../layer/layer.js';
import { planZero } from '../mapping/plan-zero.js';
import { nextRun } from '../mapping/runs.js';
import type { WriteState } from './write-state.js';
import { CHUNK_BYTES, type WriteSteps } from './write-steps.js';

/** The guest bytes from `start` to before `end`. */
interface GuestBounds {
  readonly start: number;
  readonly end: number;
}

/** The progress of a request that is carried out in several steps. */
export interface ZeroProgress {
  at: number;
  tracked: boolean;
}

/** The steps that turn guest bytes into zeros. The caller must have the image's exclusive lock. */
export class ZeroSteps {
  readonly #layer: Qcow2Layer;
  readonly #state: WriteState;
  readonly #writes: WriteSteps;

  constructor(layer: Qcow2Layer, state: WriteState, writes: WriteSteps) {
    this.#layer = layer;
    this.#state = state;
    this.#writes = writes;
  }

  /**
   * A raw data file is read without the tables. Version 2 has no zero flag, so zeros over a backing file must be
   * written.
   */
  get #mustWriteZeros(): boolean {
    const { geometry, rawData } = this.#layer;
    return rawData || (geometry.version === 2 && !isBase(this.#layer));
  }

  /**
   * Zeroes up to the end of one L2 table, or one chunk where zeros are written. L2 tables that are unallocated in every
   * layer are skipped: a disk of a pebibyte has millions.
   */
  *next(rest: ZeroProgress, end: number, unmap: boolean): Steps {
    if (this.#mustWriteZeros) {
      const stop = Math.min(end, rest.at - (rest.at % CHUNK_BYTES) + CHUNK_BYTES);
      yield* this.#writes.writeZeros(rest.at, stop);
      rest.at = stop;
      return;
    }
    const { bytesPerL2 } = this.#layer.geometry;
    // The whole request, also where the disk was zeros already: a bitmap records what was written, as in QEMU.
    const tracking = this.#state.bitmaps !== null && this.#layer.unreadable === null;
    if (tracking && !rest.tracked) yield* this.#writes.track(rest.at, end);
    rest.tracked = true;
    for (;;) {
      const start = rest.at;
      const stop = Math.min(end, start - (start % bytesPerL2) + bytesPerL2);
      const passed = this.#zeroAlready(start);
      if (!passed) yield* this.#zeroWithin(start, stop, unmap);
      rest.at = stop;
      if (!passed || stop === end) return;
    }
  }

  /** A range within one L2 table: whole subclusters by their entries, the edges by writing zeros. */
  *#zeroWithin(start: number, end: number, unmap: boolean): Steps {
    const { geometry, size } = this.#layer;
    const unit = geometry.subclusterSize;
    const from = alignUp(start, unit);
    // Bytes past the end of the disk are unused: its last subcluster counts as whole.
    const to = end === size ? alignUp(end, unit) : end - (end % unit);
    if (from > to) {
      yield* this.#zeroEdge(start, end);
      return;
    }
    yield* this.#zeroEdge(start, Math.min(from, end));
    if (from < to) yield* this.#zeroWhole(l1IndexOf(geometry, start), { start: from, end: to }, end, unmap);
    yield* this.#zeroEdge(to, end);
  }

  /** True if no layer maps anything within the L2 table of a guest offset. */
  #zeroAlready(at: number): boolean {
    return isBase(this.#layer) && !this.#layer.tables.has(l1IndexOf(this.#layer.geometry, at));
  }

  /** Whole subclusters of one L2 table. Where zeros must be written, none are from `limit` on. */
  *#zeroWhole(index: number, { start, end }: GuestBounds, limit: number, unmap: boolean): Steps {
    const { geometry } = this.#layer;
    if (this.#layer.unreadable !== null) throw this.#layer.unreadable;
    yield* this.#writes.mark();
    const tables = yield* this.#writes.writableTables(index, index);
    const context = { geometry, base: isBase(this.#layer), unmap };
    const { changes, freed, written } = planZero(context, index, tables[0]!, start, end);
    this.#writes.apply(index, tables, changes, freed);
    for (const range of written) yield* this.#writes.writeZeros(range.start, Math.min(range.end, limit));
  }

  /** Part of one subcluster, which an entry cannot mark as zero. */
  *#zeroEdge(start: number, end: number): Steps {
    if (start >= end) return;
    const { geometry } = this.#layer;
    const index = l1IndexOf(geometry, start);
    const tables = yield* this.#writes.loadTables(index, index);
    const { kind, length } = nextRun(geometry, tables[0]!, start, end);
    const already = kind === 'zero' || (kind === 'unallocated' && isBase(this.#layer));
    if (!already || length < end - start) yield* this.#writes.writeZeros(start, end);
  }
}
