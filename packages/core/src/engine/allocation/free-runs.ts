/**
 * Records where a search for free clusters can start, and which blocks it can skip: no run of a given length begins
 * before a certain cluster, and a block may have no run that long. So a run too short for a request is passed once, not
 * by every request, and allocating it does not affect the search for longer ones.
 */

/** Runs of at least this many clusters count as equal: a larger request takes them in order. */
export const LONG_RUN = 16;

/**
 * What is known of the free runs of one image, of 1 to {@link LONG_RUN} clusters. A run ends where its refcount block
 * does.
 */
export class FreeRuns {
  /** By length: no free run as long begins below this cluster. The values never decrease with the length. */
  readonly #searchStart: number[] = new Array(LONG_RUN + 1).fill(0);
  /**
   * By refcount block: the upper bound of its free runs' lengths. Absent where it is unknown. The table has 2^20 blocks
   * at most.
   */
  readonly #longest = new Map<number, number>();

  /** Where a search for runs of `length` clusters begins. */
  start(length: number): number {
    return this.#searchStart[length]!;
  }

  /** Records that every free run of `length` clusters and more that began below `cluster` has been taken. */
  passed(length: number, cluster: number): void {
    for (let longer = length; longer <= LONG_RUN; longer++) {
      this.#searchStart[longer] = Math.max(this.#searchStart[longer]!, cluster);
    }
  }

  /** True if a block is known to have no free run of `length` clusters. */
  skips(block: number, length: number): boolean {
    const longest = this.#longest.get(block);
    return longest !== undefined && longest < length;
  }

  /** Records that a block has no free run of `length` clusters any more. */
  exhausted(block: number, length: number): void {
    const longest = this.#longest.get(block);
    if (longest === undefined || longest >= length) this.#longest.set(block, length - 1);
  }

  /** Forgets a block that is removed: its clusters are free. */
  forget(block: number): void {
    this.#longest.delete(block);
  }

  /** Adds a free run of `length` clusters from `start` on, in `block`. */
  freed(block: number, start: number, length: number): void {
    const max = Math.min(length, LONG_RUN);
    for (let shorter = 1; shorter <= max; shorter++)
      this.#searchStart[shorter] = Math.min(this.#searchStart[shorter]!, start);
    const longest = this.#longest.get(block);
    if (longest !== undefined && longest < max) this.#longest.set(block, max);
  }
}
