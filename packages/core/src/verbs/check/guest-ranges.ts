/** Collects ranges of the guest's disk, ascending and merged. */
import type { Range } from '../../api/range.js';

/** The most ranges of a result. */
const MAX_RANGES = 1024;

/** A set of ranges. It keeps those with the lowest offsets. */
export class GuestRanges {
  #ranges: { start: number; length: number }[] = [];

  /** Adds a range. */
  add({ start, length }: Range): void {
    const last = this.#ranges.at(-1);
    // A check finds most faults in ascending order.
    if (last !== undefined && start >= last.start && start <= last.start + last.length) {
      last.length = Math.max(last.length, start + length - last.start);
      return;
    }
    if (this.#ranges.length === 2 * MAX_RANGES) this.#ranges = merged(this.#ranges);
    this.#ranges.push({ start, length });
  }

  /** The ranges, ascending and merged; at most 1,024. */
  list(): Range[] {
    return merged(this.#ranges);
  }
}

function merged(ranges: readonly Range[]): { start: number; length: number }[] {
  const result: { start: number; length: number }[] = [];
  for (const { start, length } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== undefined && start <= last.start + last.length) {
      last.length = Math.max(last.length, start + length - last.start);
    } else result.push({ start, length });
  }
  return result.slice(0, MAX_RANGES);
}
