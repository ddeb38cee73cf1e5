/** What a bitmap should mark, as a set of granules. */
import type { Range } from '../../src/index.js';
import { mergedRanges } from './dirty-ranges.js';

/** The model of one bitmap. */
export class BitmapModel {
  readonly #granularity: number;
  readonly #size: number;
  readonly #granules = new Set<number>();

  constructor(granularity: number, size: number) {
    this.#granularity = granularity;
    this.#size = size;
  }

  mark(offset: number, length: number): void {
    if (length === 0) return;
    const last = Math.floor((offset + length - 1) / this.#granularity);
    for (let granule = Math.floor(offset / this.#granularity); granule <= last; granule++) this.#granules.add(granule);
  }

  ranges(): Range[] {
    const granules = [...this.#granules].sort((a, b) => a - b);
    return mergedRanges(
      granules.map((granule) => {
        const start = granule * this.#granularity;
        return { start, length: Math.min(this.#granularity, this.#size - start) };
      }),
    );
  }
}
