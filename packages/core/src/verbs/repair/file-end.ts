/** Allocates clusters past the end of the file: which of the others are free is not known during a repair. */
import { alignUp } from '../../format/bytes.js';
import type { Medium } from './medium.js';

/** What copies may take in any case, bytes. */
const LEAST_BUDGET = 64 * 1024 * 1024;

/** The end of the file under repair. */
export class FileEnd {
  readonly #medium: Medium;
  readonly #clusterSize: number;
  /** Offset of the next new cluster. */
  #next: number;
  /** What copies may still take, bytes: a small hostile file must not grow without bound. */
  #budget: number;

  constructor(medium: Medium, clusterSize: number) {
    this.#medium = medium;
    this.#clusterSize = clusterSize;
    this.#next = alignUp(medium.size, clusterSize);
    this.#budget = Math.max(LEAST_BUDGET, medium.size);
  }

  /** The host offset of `length` new bytes. */
  take(length: number): number {
    const at = Math.max(this.#next, alignUp(this.#medium.size, this.#clusterSize));
    this.#next = at + alignUp(length, this.#clusterSize);
    return at;
  }

  /** As {@link take}, for a copy; null when copies have taken as much as the file had. */
  takeForCopy(length: number): number | null {
    return this.reserve(length) ? this.take(length) : null;
  }

  /** Takes bytes from what copies may take; false when that is used up. */
  reserve(length: number): boolean {
    const bytes = alignUp(length, this.#clusterSize);
    if (bytes > this.#budget) return false;
    this.#budget -= bytes;
    return true;
  }

  /** The end of the last new cluster, bytes. */
  get end(): number {
    return Math.max(this.#next, alignUp(this.#medium.size, this.#clusterSize));
  }
}
