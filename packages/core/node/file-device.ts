/** A device that reads and writes a file of Node's file system synchronously. */
import { closeSync, constants, fsyncSync, ftruncateSync, writeSync } from 'node:fs';
import { type BlockDevice, Qcow2Error, type Transfer } from '../src/index.js';
import { requireBuffers, requireOptions, requireWhole } from '../src/internal.js';
import { fileFailure, MAX_CALL_BYTES, readTransfers } from './file-io.js';
import { othersLocks } from './file-locks.js';
import { type OpenFile, openFile } from './open-file.js';

/** Options of opening a file for writing. */
export interface FileDeviceOptions {
  /** Creates the file; throws when it exists. */
  create?: boolean | undefined;
  /** Opens the file even if another process has a lock on it. Default false. */
  ignoreLocks?: boolean | undefined;
}

/**
 * Opens a file for reading and writing.
 *
 * Node cannot lock a file: QEMU or another process can open it as well, and neither detects the other's writes. On
 * Linux a file with another process's lock is refused; QEMU locks every image that it uses. This is tested once, here.
 * A process that opens the file later is not detected, and on other platforms none is. Do not open an image in QEMU
 * while this device is open.
 *
 * @throws {@link Qcow2Error} `not-found` when there is no such file, `exists` when it should be created and exists,
 *   `locked` when another process has a lock on it, `io` when it cannot be opened or is not a regular file; RangeError
 *   for a path with a lone surrogate; TypeError for a path or an option of the wrong type.
 *
 * @example
 * ```ts
 * import { Qcow2Image } from 'qcow2';
 * import { fileDevice } from 'qcow2/node';
 *
 * const device = fileDevice('disk.qcow2', { create: true });
 * const image = await Qcow2Image.create(device, { size: 2 ** 30 });
 * await image.close();
 * await device.close?.();
 * ```
 */
export function fileDevice(path: string | URL, options: FileDeviceOptions = {}): BlockDevice {
  requireOptions(options, { create: 'a boolean', ignoreLocks: 'a boolean' });
  const { O_RDWR, O_CREAT, O_EXCL } = constants;
  const file = openFile(path, options.create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR);
  const [lock] = options.ignoreLocks ? [] : othersLocks(file.fd);
  if (lock === undefined) return new FileDevice(file);
  closeSync(file.fd);
  const owner = lock.pid === undefined ? 'Another process, for example QEMU,' : `The process ${lock.pid}`;
  const advice = 'Close it there, or open it with ignoreLocks.';
  const message = `${owner} has "${path}" open, and has a lock on it (${lock.kind}). ${advice}`;
  throw new Qcow2Error('locked', message, { what: 'file', ...lock });
}

class FileDevice implements BlockDevice {
  readonly #identity: string;
  #fd: number | null;
  #size: number;

  constructor({ fd, size, identity }: OpenFile) {
    this.#fd = fd;
    this.#size = size;
    this.#identity = identity;
  }

  /** Undefined after `close`: then another file can get the inode. */
  get identity(): string | undefined {
    return this.#fd === null ? undefined : this.#identity;
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
        // A short write is not an error. Writing the rest then reports the reason.
        const length = Math.min(bytes.length - done, MAX_CALL_BYTES);
        done += attempt(() => writeSync(fd, bytes, done, length, at + done), at + done);
      }
      this.#size = Math.max(this.#size, at + bytes.length);
    }
  }

  truncate(size: number): void {
    const fd = this.#alive();
    requireWhole('size', size);
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
