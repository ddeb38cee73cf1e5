/** Owns the device over a file of Node's file system, read and written synchronously. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { type BlockDevice, Qcow2Error, type Transfer } from '../src/index.js';
import { requireBuffers } from '../src/internal.js';
import { fileFailure, readTransfers } from './file-io.js';

/**
 * Opens a file for reading and writing.
 *
 * @param options `create` makes the file when there is none, and refuses one that is there.
 * @throws {@link Qcow2Error} `not-found` when there is no such file, `exists` when there is and it was to be created, `io`
 *   when it cannot be opened or is no regular file.
 */
export function fileDevice(path: string | URL, options: { create?: boolean | undefined } = {}): BlockDevice {
  return new FileDevice(path, options.create ? 'wx+' : 'r+');
}

class FileDevice implements BlockDevice {
  #fd: number | null;
  #size: number;

  constructor(path: string | URL, flags: string) {
    this.#fd = attempt(() => openSync(path, flags), 0);
    const stat = fstatSync(this.#fd);
    this.#size = stat.size;
    if (!stat.isFile()) {
      this.close();
      throw new Qcow2Error('io', `"${path}" is not a regular file.`, { what: 'file' });
    }
  }

  get size(): number {
    return this.#size;
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): void {
    signal?.throwIfAborted();
    const fd = this.#alive();
    requireBuffers(transfers);
    readTransfers(fd, transfers, this.#size);
  }

  write(transfers: readonly Transfer[]): void {
    const fd = this.#alive();
    requireBuffers(transfers);
    for (const { at, bytes } of transfers) {
      for (let done = 0; done < bytes.length; ) {
        // A short count is no error: the rest is tried again, and then the reason comes out.
        done += attempt(() => writeSync(fd, bytes, done, bytes.length - done, at + done), at + done);
      }
      this.#size = Math.max(this.#size, at + bytes.length);
    }
  }

  truncate(size: number): void {
    const fd = this.#alive();
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`A device cannot be ${size} bytes long.`);
    attempt(() => ftruncateSync(fd, size), size);
    this.#size = size;
  }

  flush(): void {
    const fd = this.#alive();
    attempt(() => fsyncSync(fd), 0);
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #alive(): number {
    if (this.#fd === null) throw new Qcow2Error('closed', 'The file was closed.');
    return this.#fd;
  }
}

function attempt<T>(call: () => T, at: number): T {
  try {
    return call();
  } catch (error) {
    throw fileFailure(error, at);
  }
}
