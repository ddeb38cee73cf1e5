/** Pages the table of extents: stores where each page starts, and fetches the page that is shown. */
import type { Disk, Extent } from 'qcow2';

/** Rows of a page. */
export const ROWS = 10;

/** An index over all extents that stores one number for every {@link ROWS} of them, not the extents. */
export class ExtentPages {
  readonly #disk: Disk;
  readonly #starts: number[] = [];
  #count = 0;
  #end = 0;

  /** For the extents of a disk, which are passed to `add` one by one. */
  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Adds an extent to the index. Extents arrive in order, without gaps. */
  add(extent: Extent): void {
    if (this.#count % ROWS === 0) this.#starts.push(extent.start);
    this.#count += 1;
    this.#end = extent.start + extent.length;
  }

  /** Number of extents added. */
  get count(): number {
    return this.#count;
  }

  /** Number of pages of the extents added so far. The last may be incomplete. */
  get pageCount(): number {
    return this.#starts.length;
  }

  /** The page whose extents contain a guest offset. */
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

  /** Fetches the extents of a page from the image. */
  async page(index: number, signal: AbortSignal): Promise<Extent[]> {
    const start = this.#starts[index];
    if (start === undefined) return [];
    const end = this.#starts[index + 1] ?? this.#end;
    const extents: Extent[] = [];
    for await (const extent of this.#disk.map({ start, length: end - start }, { signal })) extents.push(extent);
    return extents;
  }
}
