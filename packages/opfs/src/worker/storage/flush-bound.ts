/**
 * Bounds how much of a file one flush may have to bring to the medium: a flush blocks its worker, which then answers
 * nothing.
 */

/** 30 s on a medium that stores 2 MB/s; `WorkerWatch` gives up a worker that is silent as long. Bytes. */
const MAX_UNFLUSHED = 64 * 1024 * 1024;

/** What was written to a file since its last flush. */
export class FlushBound {
  #unflushed = 0;

  /** Counts bytes that were written. Whether the file is to be flushed now. */
  reachedBy(written: number): boolean {
    this.#unflushed += written;
    return this.#unflushed >= MAX_UNFLUSHED;
  }

  /** The file was flushed. */
  reset(): void {
    this.#unflushed = 0;
  }
}
