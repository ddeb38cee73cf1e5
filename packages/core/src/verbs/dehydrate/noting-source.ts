/** Notes which bytes of a file are read. */

import type { ByteSource, Done, Transfer } from '../../api/device.js';
import type { RangeSet } from './range-set.js';

/** Reads `source`, and adds what was read to `ranges`, up to the end of the file. */
export class NotingSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #ranges: RangeSet;

  constructor(source: ByteSource, ranges: RangeSet) {
    this.#source = source;
    this.#ranges = ranges;
  }

  get size(): number {
    return this.#source.size;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    for (const { at, bytes } of transfers) this.#ranges.add(at, Math.min(at + bytes.length, this.size));
    return this.#source.read(transfers, signal);
  }
}
