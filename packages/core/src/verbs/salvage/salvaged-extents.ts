/** Maps a chain and reads its data, past damage in both, for a map that detects zeros. */

import type { SalvageOptions } from '../../api/options.js';
import type { Extent, LostRange } from '../../api/range.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { partOf } from '../map.js';
import { DamagedData } from './damaged-data.js';
import { unreadableExtent } from './damaged-tables.js';
import { LostRanges } from './lost-ranges.js';
import { chainOf, damagedBatches } from './map.js';

/** An extent, or a part of one, and its bytes; null when it has no data. */
export interface Piece {
  readonly extent: Extent;
  readonly bytes: Uint8Array | null;
}

/** The extents of one map, and its lost ranges, whether they are found in tables or in data. */
export class SalvagedExtents {
  readonly #layer: Qcow2Layer;
  readonly #alive: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #lost: LostRanges;
  readonly #data: DamagedData;
  /** What was lost of the piece that is being read. */
  #lostOfPiece: LostRange[] = [];

  /** `alive` throws when the image is no longer open. */
  constructor(layer: Qcow2Layer, alive: () => void, { signal, onLost }: SalvageOptions) {
    this.#layer = layer;
    this.#alive = alive;
    this.#signal = signal;
    this.#lost = new LostRanges(onLost);
    this.#data = new DamagedData(layer, chainOf(layer), alive, signal, (lost) => this.#lostOfPiece.push(lost));
  }

  /** The extents of `[start, end)`, unreadable where tables are damaged. */
  batches(start: number, end: number): AsyncGenerator<Extent[], void, undefined> {
    return damagedBatches(this.#layer, start, end, this.#alive, { signal: this.#signal }, this.#lost);
  }

  /**
   * Reads the data of a chunk, after a read of all has failed with `error`. Returns the pieces with unreadable extents
   * where they cannot be read.
   *
   * @throws what is not damage; the signal's reason when it aborts.
   */
  async readAgain(chunk: readonly Piece[], error: unknown): Promise<Piece[]> {
    this.#data.requireLoss(error);
    const pieces: Piece[] = [];
    for (const { extent, bytes } of chunk) {
      this.#lostOfPiece = [];
      if (bytes !== null) await this.#data.fill(extent, extent.start, bytes);
      this.#addAround(this.#lostOfPiece, { extent, bytes }, pieces);
    }
    return pieces;
  }

  /** Reports what is lost before `until`; `end` is that of the map. */
  settle(until: number, end: number): void {
    if (until < end) this.#lost.settle(until);
    else this.#lost.end();
  }

  /** Adds a piece, cut around what was lost of it. */
  #addAround(lost: readonly LostRange[], { extent, bytes }: Piece, pieces: Piece[]): void {
    let done = 0;
    const addUntil = (until: number) => {
      if (until === done) return;
      const part = partOf(extent, done, until - done);
      pieces.push({ extent: part, bytes: bytes?.subarray(done, until) ?? null });
    };
    for (const range of lost) {
      this.#lost.add(range);
      addUntil(range.start - extent.start);
      pieces.push({ extent: unreadableExtent(range, extent.depth), bytes: null });
      done = range.start - extent.start + range.length;
    }
    addUntil(extent.length);
  }
}
