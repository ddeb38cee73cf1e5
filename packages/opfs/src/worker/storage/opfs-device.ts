/** The device over an OPFS file: synchronous, and with every count checked, since browsers fail silently. */
import { type BlockDevice, Qcow2Error, type Transfer } from 'qcow2';
import { requireBuffers } from 'qcow2/internal';
import { FlushBound } from './flush-bound.js';
import { knownStorageError, noSpace } from './storage-error.js';
import type { SyncHandle } from './sync-handle.js';

/** A {@link BlockDevice} over a sync access handle, which it closes. In dedicated workers only. */
export class OpfsDevice implements BlockDevice {
  #handle: SyncHandle | null;
  readonly #bound: FlushBound = new FlushBound();
  #size: number;

  /** @param handle used by this device only */
  constructor(handle: SyncHandle) {
    this.#handle = handle;
    this.#size = handle.getSize();
  }

  get size(): number {
    return this.#size;
  }

  /**
   * @throws {@link Qcow2Error} `io` when fewer bytes are read than the file has, `closed` after `close`; the signal's
   *   reason
   */
  read(transfers: readonly Transfer[], signal?: AbortSignal): void {
    signal?.throwIfAborted();
    const handle = this.#alive();
    requireBuffers(transfers);
    for (const { at, bytes } of transfers) {
      const stored = Math.max(0, Math.min(bytes.length, this.#size - at));
      if (stored > 0) {
        const count = this.#attempt('read', at, () => handle.read(bytes.subarray(0, stored), { at }));
        if (count !== stored) throw failure('read', at, `${count} of ${stored} bytes were read`);
      }
      bytes.fill(0, stored);
    }
  }

  /**
   * Also flushes from time to time, so that no flush takes long.
   *
   * @throws {@link Qcow2Error} `no-space` when the quota is used up, `io`, `closed` after `close`
   */
  write(transfers: readonly Transfer[]): void {
    const handle = this.#alive();
    requireBuffers(transfers);
    for (const { at, bytes } of transfers) {
      if (bytes.length === 0) continue;
      const end = at + bytes.length;
      const count = this.#attempt('write', end, () => handle.write(bytes, { at }));
      // With the quota used up Firefox returns 0, and Chromium 4294967288.
      if (count !== bytes.length) {
        this.#size = handle.getSize();
        throw noSpace(end, null);
      }
      this.#size = Math.max(this.#size, end);
      if (this.#bound.reachedBy(count)) this.flush();
    }
  }

  /**
   * @throws {@link Qcow2Error} `no-space` when the length exceeds the quota, `io`, `closed` after `close`; RangeError
   *   for an invalid length
   */
  truncate(size: number): void {
    const handle = this.#alive();
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`A device cannot be ${size} bytes long.`);
    const grows = size > this.#size;
    try {
      handle.truncate(size);
    } catch (error) {
      // Firefox's error here is not a DOMException. Growing an open file fails only for lack of space.
      throw grows ? noSpace(size, null, error) : failure('truncate', size, String(error), error);
    }
    this.#size = handle.getSize();
    if (this.#size === size) return;
    // Off the record (in private windows) `truncate` can silently do nothing.
    throw grows ? noSpace(size, null) : failure('truncate', size, `its length is still ${this.#size} bytes`);
  }

  /** @throws {@link Qcow2Error} `io`, `closed` after `close` */
  flush(): void {
    const handle = this.#alive();
    this.#attempt('flush', 0, () => handle.flush());
    this.#bound.reset();
  }

  /** Closes the file without flushing. A second call does nothing. */
  close(): void {
    this.#handle?.close();
    this.#handle = null;
  }

  #attempt<T>(verb: string, at: number, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw knownStorageError(error, at, null) ?? failure(verb, at, String(error), error);
    }
  }

  #alive(): SyncHandle {
    if (this.#handle === null) throw new Qcow2Error('closed', 'The file was closed.');
    return this.#handle;
  }
}

function failure(verb: string, at: number, reason: string, cause?: unknown): Qcow2Error {
  return new Qcow2Error('io', `The file failed to ${verb}: ${reason}.`, { what: 'file', at }, { cause });
}
