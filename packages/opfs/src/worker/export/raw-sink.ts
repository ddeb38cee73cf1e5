/** Owns the two ways of filling a file with raw bytes: a sync handle in OPFS, a writable stream elsewhere. */
import { FlushBound } from '../storage/flush-bound.js';
import { ioError, knownStorageError, noSpace, storageError } from '../storage/storage-error.js';
import { openSyncHandle, type SyncHandle } from '../storage/sync-handle.js';

/** A file that is being filled. What is never written reads as zeros. */
export interface RawSink {
  /** Writes bytes at an offset, in bytes. The buffer is free again when the answer resolves. */
  write(at: number, bytes: Uint8Array<ArrayBuffer>): void | Promise<void>;
  /** Makes the file complete, and lets go of it. */
  finish(): void | Promise<void>;
  /** Lets go of the file with nothing half-written in it. */
  abandon(): void | Promise<void>;
}

/**
 * Opens a file to be filled with `size` bytes.
 *
 * @throws {@link Qcow2Error} `no-space`, `locked`, `unavailable`
 */
export async function openSink(file: FileSystemFileHandle, size: number, available: number | null): Promise<RawSink> {
  try {
    const handle = await openSyncHandle(file);
    if (handle) return new SyncSink(handle, size, available);
    const writable = await file.createWritable();
    const sink = new WritableSink(writable, size);
    try {
      await sink.begin();
    } catch (error) {
      await sink.abandon();
      throw error;
    }
    return sink;
  } catch (error) {
    throw storageError(error, size, available);
  }
}

/** Fills an OPFS file through its sync handle. */
export class SyncSink implements RawSink {
  readonly #handle: SyncHandle;
  readonly #size: number;
  readonly #available: number | null;
  readonly #bound: FlushBound = new FlushBound();

  /**
   * Empties the file and makes it `size` bytes of zeros. A file for which there is no space keeps what it had.
   *
   * @param available what the platform says that more can be stored, bytes; for the message alone
   */
  constructor(handle: SyncHandle, size: number, available: number | null) {
    this.#handle = handle;
    this.#size = size;
    const before = handle.getSize();
    this.#available = available === null ? null : available + before;
    try {
      this.#reserve(before);
      handle.truncate(0);
      handle.truncate(size);
      this.#requireSize();
    } catch (error) {
      handle.close();
      throw error;
    }
  }

  write(at: number, bytes: Uint8Array): void {
    const count = this.#attempt(() => this.#handle.write(bytes, { at }));
    // With the quota spent Firefox answers 0, and Chromium 4294967288.
    if (count !== bytes.length) throw noSpace(this.#size, this.#available);
    if (this.#bound.reachedBy(count)) this.#flush();
  }

  finish(): void {
    this.#flush();
    this.#requireSize();
    this.#handle.close();
  }

  abandon(): void {
    try {
      this.#handle.truncate(0);
      this.#handle.flush();
    } catch {
      // Why it is abandoned is worth more than what cannot be cleaned up.
    } finally {
      this.#handle.close();
    }
  }

  #flush(): void {
    this.#attempt(() => this.#handle.flush());
    this.#bound.reset();
  }

  /** What a handle throws need not be a DOMException: Firefox has errors of its own. */
  #attempt<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw knownStorageError(error, this.#size, this.#available) ?? ioError(error);
    }
  }

  /** Tries for the whole length first: the quota counts it, and growing is the one question that gets a true answer. */
  #reserve(before: number): void {
    try {
      if (this.#size > before) this.#handle.truncate(this.#size);
    } catch (error) {
      // Firefox throws something that is no DOMException; growing an open file can fail for nothing else.
      throw noSpace(this.#size, this.#available, error);
    }
    // Off the record, `truncate` can do nothing without a word.
    if (this.#size > before) this.#requireSize();
  }

  #requireSize(): void {
    if (this.#handle.getSize() !== this.#size) throw noSpace(this.#size, this.#available);
  }
}

/** Fills a file through a writable stream, which replaces the file when it is closed and not before. */
export class WritableSink implements RawSink {
  readonly #writable: FileSystemWritableFileStream;
  readonly #size: number;

  constructor(writable: FileSystemWritableFileStream, size: number) {
    this.#writable = writable;
    this.#size = size;
  }

  /** Gives the new file its length, so that holes need not be written. */
  async begin(): Promise<void> {
    await this.#guard(this.#writable.truncate(this.#size));
  }

  write(at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#guard(this.#writable.write({ type: 'write', position: at, data: bytes }));
  }

  finish(): Promise<void> {
    return this.#guard(this.#writable.close());
  }

  async abandon(): Promise<void> {
    // A stream that has failed is abandoned already, and rejects with the same error again.
    await this.#writable.abort().catch(() => {});
  }

  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw storageError(error, this.#size, null);
    }
  }
}
