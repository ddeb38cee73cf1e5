/**
 * Records which bytes of a table differ from the medium: ranges of whole sectors. Nearby ranges are joined, so that a
 * table of usual size is one transfer. Changes far apart in a long table stay separate, so that the bytes in between
 * are not written.
 */

/** A sector is written atomically: tables are written in units of it. */
const SECTOR = 512;
/**
 * A gap up to this long is written as well: that costs less than another transfer, which is a call of the file system.
 * It bounds the ranges of the longest table, an L1 table of 32 MiB, to 512.
 */
const NEAR = 64 * 1024;

/** The bytes from `start` to before `end`. */
interface DirtyRange {
  start: number;
  end: number;
}

/** The changed bytes of one table, in order; none at first. */
export class DirtyRanges {
  #ranges: DirtyRange[] = [];

  get empty(): boolean {
    return this.#ranges.length === 0;
  }

  /** The end of the last range; 0 when there is none. */
  get end(): number {
    return this.#ranges.at(-1)?.end ?? 0;
  }

  /** The ranges, in order, more than {@link NEAR} bytes from each other. */
  [Symbol.iterator](): Iterator<Readonly<DirtyRange>> {
    return this.#ranges[Symbol.iterator]();
  }

  /** Adds the bytes from `from` to before `to`, and the rest of their sectors. */
  add(from: number, to: number): void {
    const start = from - (from % SECTOR);
    const end = Math.ceil(to / SECTOR) * SECTOR;
    const ranges = this.#ranges;
    // Changes come mostly in order, so the search begins at the end.
    let after = ranges.length;
    while (after > 0 && ranges[after - 1]!.start > end + NEAR) after--;
    let first = after;
    while (first > 0 && ranges[first - 1]!.end + NEAR >= start) first--;
    if (first === after) {
      ranges.splice(first, 0, { start, end });
      return;
    }
    const joined = ranges[first]!;
    joined.start = Math.min(joined.start, start);
    joined.end = Math.max(ranges[after - 1]!.end, end);
    if (after - first > 1) ranges.splice(first + 1, after - first - 1);
  }

  clear(): void {
    this.#ranges = [];
  }
}
