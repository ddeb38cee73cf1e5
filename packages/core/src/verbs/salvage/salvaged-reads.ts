/** Reads guest bytes for a stream, with zeros in place of what cannot be read. */

import type { Done } from '../../api/device.js';
import type { SalvageOptions } from '../../api/options.js';
import type { Extent } from '../../api/range.js';
import { yieldToEventLoop } from '../../engine/async/yield-to-event-loop.js';
import type { Layer, Qcow2Layer } from '../../engine/layer/layer.js';
import { readGuest } from '../../engine/read/execute.js';
import { mapBatches } from '../map.js';
import { DamagedTables } from './damaged-tables.js';
import { isLoss, LostRanges, lostRange } from './lost-ranges.js';
import { chainOf } from './map.js';

/** The reads of one stream. A piece that cannot be read is read extent by extent, and in halves where one fails. */
export class SalvagedReads {
  readonly #layer: Qcow2Layer;
  readonly #chain: readonly Layer[];
  readonly #end: number;
  readonly #alive: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #lost: LostRanges;
  readonly #tables: DamagedTables;
  /** Damage is found without I/O: nothing else would run until the end of the stream. */
  readonly #yieldIfDue: () => Promise<void> = yieldToEventLoop();
  /** The smallest unit of allocation in the chain, bytes: data that cannot be read are lost in such units. */
  readonly #unit: number;

  /** For a stream that ends at the guest offset `end`. `alive` throws when the image is no longer open. */
  constructor(layer: Qcow2Layer, end: number, alive: () => void, options: SalvageOptions | undefined) {
    this.#layer = layer;
    this.#chain = chainOf(layer);
    this.#end = end;
    this.#alive = alive;
    this.#signal = options?.signal;
    this.#lost = new LostRanges(options?.onLost);
    this.#tables = new DamagedTables(this.#chain, this.#lost.add);
    this.#unit = Math.min(
      ...this.#chain.flatMap((each) => (each.kind === 'qcow2' ? each.geometry.subclusterSize : [])),
    );
  }

  /**
   * Fills `into` with the bytes at a guest offset. Synchronous when nothing has to wait and nothing is damaged.
   *
   * @throws what is not damage, as a read does; the signal's reason when it aborts.
   */
  read(offset: number, into: Uint8Array): Done {
    if (this.#tables.hasUnloadable(offset, offset + into.length)) return this.#salvage(offset, into);
    const failed = (error: unknown): Promise<void> => {
      this.#requireLoss(error);
      return this.#salvage(offset, into);
    };
    try {
      return readGuest(this.#layer, [{ at: offset, bytes: into }], this.#signal)?.catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** Reports what is lost up to `until`, before the bytes up to there are passed to the consumer. */
  delivering(until: number): void {
    if (until < this.#end) this.#lost.settle(until);
    else this.#lost.end();
  }

  /** Fills `into` extent by extent. */
  async #salvage(offset: number, into: Uint8Array): Promise<void> {
    await this.#yieldIfDue();
    const { extentsFrom } = this.#tables;
    const options = { signal: this.#signal };
    const batches = mapBatches(this.#layer, offset, offset + into.length, this.#alive, options, extentsFrom);
    for await (const batch of batches) {
      for (const extent of batch) {
        const at = extent.start - offset;
        const part = into.subarray(at, at + extent.length);
        if (extent.zero || extent.unreadable) part.fill(0);
        else await this.#fillPart(extent.start, part, this.#unitOf(extent));
      }
    }
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
      this.#requireLoss(error);
      const end = offset + into.length;
      const nextUnit = offset - (offset % unit) + unit;
      if (nextUnit >= end) {
        into.fill(0);
        this.#lost.add(lostRange({ start: offset, length: into.length }, error));
        return;
      }
      const half = offset + into.length / 2;
      const middle = Math.max(nextUnit, half - (half % unit));
      await this.#fillPart(offset, into.subarray(0, middle - offset), unit);
      await this.#fillPart(middle, into.subarray(middle - offset), unit);
    }
  }

  /** Throws any error but that of damage. A source may fail because the image was closed, or the read aborted. */
  #requireLoss(error: unknown): asserts error is Parameters<typeof lostRange>[1] {
    this.#signal?.throwIfAborted();
    this.#alive();
    if (!isLoss(error)) throw error;
  }
}
