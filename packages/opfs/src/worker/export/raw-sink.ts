/** The two ways to fill a file with raw bytes: a sync handle in OPFS, a writable stream elsewhere. */
import { FlushBound } from '../storage/flush-bound.js';
import { ioError, knownStorageError, noSpace, storageError } from '../storage/storage-error.js';
import { openSyncHandle, type SyncHandle } from '../storage/sync-handle.js';

/** A file being filled. Bytes that are never written read as zeros. */
export interface RawSink {
  /** Writes bytes at an offset, in bytes. The buffer can be reused when the promise resolves. */
  write(at: number, bytes: Uint8Array<ArrayBuffer>): void | Promise<void>;
  /** Completes the file and closes it. */
  finish(): void | Promise<void>;
  /** Closes the file, leaving no partial content. */
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
   * Empties the file and makes it `size` bytes of zeros. If there is no space for that, the file keeps its content.
   *
   * @param available the free space that the platform reports, bytes; for the error message only
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
    // With the quota used up Firefox returns 0, and Chromium 4294967288.
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
      // The original error matters more than a failed cleanup.
    } finally {
      this.#handle.close();
    }
  }

  #flush(): void {
    this.#attempt(() => this.#handle.flush());
    this.#bound.reset();
  }

  /** A handle's error may not be a DOMException: Firefox has errors of its own. */
  #attempt<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw knownStorageError(error, this.#size, this.#available) ?? ioError(error);
    }
  }

  /**
   * Grows the file to its full length first. `estimate()` is approximate; `truncate()` is the only reliable quota
   * check.
   */
  #reserve(before: number): void {
    try {
      if (this.#size > before) this.#handle.truncate(this.#size);
    } catch (error) {
      // Firefox's error here is not a DOMException. Growing an open file fails only for lack of space.
      throw noSpace(this.#size, this.#available, error);
    }
    // Off the record (in private windows) `truncate` can silently do nothing.
    if (this.#size > before) this.#requireSize();
  }

  #requireSize(): void {
    if (this.#handle.getSize() !== this.#size) throw noSpace(this.#size, this.#available);
  }
}

/** Fills a file through a writable stream, which replaces the file only when it is closed. */
export class WritableSink implements RawSink {
  readonly #writable: FileSystemWritableFileStream;
  readonly #size: number;

  constructor(writable: FileSystemWritableFileStream, size: number) {
    this.#writable = writable;
    this.#size = size;
  }

  /** Sets the length of the new file, so that holes need not be written. */
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
    // A failed stream is aborted already, and rejects with the same error again.
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
