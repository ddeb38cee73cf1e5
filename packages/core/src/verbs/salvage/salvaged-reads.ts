/** Reads guest bytes for a stream, with zeros in place of what cannot be read. */

import type { Done } from '../../api/device.js';
import type { SalvageOptions } from '../../api/options.js';
import { yieldToEventLoop } from '../../engine/async/yield-to-event-loop.js';
import type { Qcow2Layer } from '../../engine/layer/layer.js';
import { readGuest } from '../../engine/read/execute.js';
import { mapBatches } from '../map.js';
import { DamagedData } from './damaged-data.js';
import { DamagedTables } from './damaged-tables.js';
import { LostRanges } from './lost-ranges.js';
import { chainOf } from './map.js';

/** The reads of one stream. A piece that cannot be read is read extent by extent, and in halves where one fails. */
export class SalvagedReads {
  readonly #layer: Qcow2Layer;
  readonly #end: number;
  readonly #alive: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #lost: LostRanges;
  readonly #tables: DamagedTables;
  readonly #data: DamagedData;
  /** Damage is found without I/O: nothing else would run until the end of the stream. */
  readonly #yieldIfDue: () => Promise<void> = yieldToEventLoop();

  /** For a stream that ends at the guest offset `end`. `alive` throws when the image is no longer open. */
  constructor(layer: Qcow2Layer, end: number, alive: () => void, options: SalvageOptions | undefined) {
    this.#layer = layer;
    this.#end = end;
    this.#alive = alive;
    this.#signal = options?.signal;
    this.#lost = new LostRanges(options?.onLost);
    const chain = chainOf(layer);
    this.#tables = new DamagedTables(chain, this.#lost.add);
    this.#data = new DamagedData(layer, chain, alive, this.#signal, this.#lost.add);
  }

  /**
   * Fills `into` with the bytes at a guest offset. Synchronous when nothing has to wait and nothing is damaged.
   *
   * @throws what is not damage, as a read does; the signal's reason when it aborts.
   */
  read(offset: number, into: Uint8Array): Done {
    if (this.#tables.hasUnloadable(offset, offset + into.length)) return this.#salvage(offset, into);
    const failed = (error: unknown): Promise<void> => {
      this.#data.requireLoss(error);
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
        else await this.#data.fill(extent, extent.start, part);
      }
    }
  }
}
