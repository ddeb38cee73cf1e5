/**
 * Allocates clusters past the end of the file: which of the others are free is not known during a repair. In a file
 * that is as long as refcounts can count, they come after the last cluster in use.
 */
import { alignUp } from '../../format/bytes.js';
import type { Medium } from './medium.js';

/** What copies may take in any case, bytes. */
const LEAST_BUDGET = 64 * 1024 * 1024;

/** The end of the file under repair. */
export class FileEnd {
  readonly #medium: Medium;
  readonly #clusterSize: number;
  /** New clusters are always past the end of the file. */
  readonly #isPastEnd: boolean;
  /** Offset of the next new cluster. */
  #next: number;
  /** What copies may still take, bytes: a small hostile file must not grow without bound. */
  #budget: number;

  /** With `usedEnd`, the end of the last cluster in use, new clusters begin there. */
  constructor(medium: Medium, clusterSize: number, usedEnd: number | null) {
    this.#medium = medium;
    this.#clusterSize = clusterSize;
    this.#isPastEnd = usedEnd === null;
    this.#next = usedEnd ?? alignUp(medium.size, clusterSize);
    this.#budget = Math.max(LEAST_BUDGET, medium.size);
  }

  /** The host offset of `length` new bytes. */
  take(length: number): number {
    const at = this.end;
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
    return this.#isPastEnd ? Math.max(this.#next, alignUp(this.#medium.size, this.#clusterSize)) : this.#next;
  }
}
