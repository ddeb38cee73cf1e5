/** Reads data that may be damaged: what cannot be read is zeros, and noted as lost. */

import type { Extent, LostRange } from '../../api/range.js';
import type { Layer, Qcow2Layer } from '../../engine/layer/layer.js';
import { readGuest } from '../../engine/read/execute.js';
import { isLoss, type LossError, lostRange } from './lost-ranges.js';

/** The data of a chain, some of them damaged. */
export class DamagedData {
  readonly #layer: Qcow2Layer;
  readonly #chain: readonly Layer[];
  readonly #alive: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #lost: (lost: LostRange) => void;
  /** The smallest unit of allocation in the chain, bytes: data that cannot be read are lost in such units. */
  readonly #unit: number;

  /** `chain` are the layers from `layer` on. `alive` throws when the image is no longer open. */
  constructor(
    layer: Qcow2Layer,
    chain: readonly Layer[],
    alive: () => void,
    signal: AbortSignal | undefined,
    lost: (lost: LostRange) => void,
  ) {
    this.#layer = layer;
    this.#chain = chain;
    this.#alive = alive;
    this.#signal = signal;
    this.#lost = lost;
    this.#unit = Math.min(...chain.flatMap((each) => (each.kind === 'qcow2' ? each.geometry.subclusterSize : [])));
  }

  /**
   * Fills `into` with the bytes at a guest offset within an extent that has data.
   *
   * @throws what is not damage, as a read does; the signal's reason when it aborts.
   */
  fill(extent: Extent, offset: number, into: Uint8Array): Promise<void> {
    return this.#fillPart(offset, into, this.#unitOf(extent));
  }

  /** Throws any error but that of damage. A source may fail because the image was closed, or the read aborted. */
  requireLoss(error: unknown): asserts error is LossError {
    this.#signal?.throwIfAborted();
    this.#alive();
    if (!isLoss(error)) throw error;
  }

  /** Bytes that are lost together when a read within them fails. */
  #unitOf({ compressed, depth }: Extent): number {
    const layer = this.#chain[depth];
    return compressed && layer?.kind === 'qcow2' ? layer.geometry.clusterSize : this.#unit;
  }

  /** Fills `into`, or each half of it when that fails, down to `unit`: then it is lost, and filled with zeros. */
  async #fillPart(offset: number, into: Uint8Array, unit: number): Promise<void> {
    try {
      await readGuest(this.#layer, [{ at: offset, bytes: into }], this.#signal);
    } catch (error) {
      this.requireLoss(error);
      const end = offset + into.length;
      const nextUnit = offset - (offset % unit) + unit;
      if (nextUnit >= end) {
        into.fill(0);
        this.#lost(lostRange({ start: offset, length: into.length }, error));
        return;
      }
      const half = offset + into.length / 2;
      const middle = Math.max(nextUnit, half - (half % unit));
      await this.#fillPart(offset, into.subarray(0, middle - offset), unit);
      await this.#fillPart(middle, into.subarray(middle - offset), unit);
    }
  }
}
