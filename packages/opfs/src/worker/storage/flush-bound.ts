/** Bounds how many bytes one flush may have to write: a flush blocks its worker, which then handles no messages. */

/** 30 s on a medium that stores 2 MB/s: after as much silence `WorkerWatch` treats a worker as dead. Bytes. */
const MAX_UNFLUSHED = 64 * 1024 * 1024;

/** Counts the bytes written to a file since its last flush. */
export class FlushBound {
  #unflushed = 0;

  /** Counts written bytes. Returns whether the file must be flushed now. */
  reachedBy(written: number): boolean {
    this.#unflushed += written;
    return this.#unflushed >= MAX_UNFLUSHED;
  }

  /** Must be called after each flush. */
  reset(): void {
    this.#unflushed = 0;
  }
}
