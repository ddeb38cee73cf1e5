/** Owns the table of extents page by page: remembers where each page starts, and fetches the one that is shown. */
import type { Disk, Extent } from 'qcow2';

/** Rows on a page. */
export const ROWS = 10;

/** An index over all extents that keeps one number for every {@link ROWS} of them, not the extents. */
export class ExtentPages {
  readonly #disk: Disk;
  readonly #starts: number[] = [];
  #count = 0;
  #end = 0;

  /** For the extents of a disk, which `add` is told one by one. */
  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Notes an extent. Extents arrive in order, without gaps. */
  add(extent: Extent): void {
    if (this.#count % ROWS === 0) this.#starts.push(extent.start);
    this.#count += 1;
    this.#end = extent.start + extent.length;
  }

  /** How many extents were noted. */
  get count(): number {
    return this.#count;
  }

  /** How many pages the extents noted so far fill, the last perhaps not wholly. */
  get pageCount(): number {
    return this.#starts.length;
  }

  /** The page whose extents hold a guest offset. */
  pageOf(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Asks the image for the extents of a page. */
  async page(index: number, signal: AbortSignal): Promise<Extent[]> {
    const start = this.#starts[index];
    if (start === undefined) return [];
    const end = this.#starts[index + 1] ?? this.#end;
    const extents: Extent[] = [];
    for await (const extent of this.#disk.map({ start, length: end - start }, { signal })) extents.push(extent);
    return extents;
  }
}
