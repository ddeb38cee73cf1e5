/** Counts what is written to a device, and tracks whether it has unflushed writes. */

import type { BlockDevice, Done, Transfer } from '../../api/device.js';
import { isQcow2Error, Qcow2Error, reasonOf } from '../../errors.js';
import { asPromise } from '../async/done.js';
import { requireBuffers } from '../async/request-buffers.js';
import type { Counters } from '../layer/counting-source.js';
import { type DataFileName, withinDataFile } from '../read/data-file.js';
import type { Lifecycle } from './lifecycle.js';

/** A device that is written to, with its counters. */
export class TrackedDevice {
  /** Something was written since the last flush. */
  unflushed = false;
  /** True once a call has returned a promise. */
  waited = false;
  /** True once the device was flushed. */
  #flushed = false;
  readonly #device: BlockDevice;
  readonly #counters: Counters;
  readonly #lifecycle: Lifecycle;
  readonly #dataFile: DataFileName | null;

  /** `dataFile` names the device in its errors; null for the image's own file. */
  constructor(device: BlockDevice, counters: Counters, lifecycle: Lifecycle, dataFile: DataFileName | null = null) {
    this.#device = device;
    this.#counters = counters;
    this.#lifecycle = lifecycle;
    this.#dataFile = dataFile;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#device.size;
  }

  /**
   * Finds out whether the device is asynchronous: if so, returns a promise. An empty batch shows it for writes, and
   * changes nothing. For flushes only a flush shows it. If there was none yet, one is made, so no other request may
   * run.
   *
   * @throws as {@link write} does.
   */
  probe(): Done {
    const written = this.#noting(() => this.#device.write([]));
    return written ?? (this.#flushed ? undefined : this.#flush());
  }

  /**
   * Writes a batch; an empty one makes no call.
   *
   * @throws {@link Qcow2Error} what the device throws, as `io` when it is of no other kind.
   */
  write(transfers: readonly Transfer[]): Done {
    if (transfers.length === 0) return;
    this.unflushed = true;
    this.#counters.deviceWrites++;
    for (const { bytes } of transfers) this.#counters.deviceBytesWritten += bytes.length;
    return this.#noting(
      () => this.#device.write(transfers),
      () => requireBuffers(transfers),
    );
  }

  /**
   * Returns when everything is on the medium. Makes no call when nothing is unflushed.
   *
   * @throws as {@link write} does.
   */
  flush(): Done {
    if (!this.unflushed) return;
    this.#counters.deviceFlushes++;
    // The caller has the exclusive lock, so nothing is written during the flush.
    this.unflushed = false;
    return this.#flush();
  }

  /**
   * Sets the length, bytes.
   *
   * @throws as {@link write} does.
   */
  truncate(size: number): Done {
    this.unflushed = true;
    return this.#noting(() => this.#device.truncate(size));
  }

  /**
   * Makes the file longer, to `size` bytes, unless there is no space for it: nothing needs those bytes.
   *
   * @throws as {@link write} does.
   */
  extend(size: number): Done {
    this.unflushed = true;
    return this.#noting(() => {
      try {
        return asPromise(this.#device.truncate(size))?.catch(unlessNoSpace);
      } catch (error) {
        return unlessNoSpace(error);
      }
    });
  }

  #flush(): Done {
    this.#flushed = true;
    return this.#noting(() => this.#device.flush());
  }

  /** `intact` throws if a buffer was detached during the call. That is no failure of the device. */
  #noting(call: () => Done, intact: () => void = () => {}): Done {
    try {
      const done = asPromise(call());
      if (done === undefined) return;
      this.waited = true;
      return done.then(intact, (error: unknown) => {
        intact();
        this.#fail(error);
      });
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Reports the failure. A device may throw anything; a caller that writes to an image gets a `Qcow2Error`. */
  #fail(reason: unknown): never {
    const own = isQcow2Error(reason) ? reason : ioError(reason);
    const error = this.#dataFile === null ? own : withinDataFile(own, this.#dataFile);
    this.#lifecycle.deviceFailed(error);
    throw error;
  }
}

/** Throws any other error. */
function unlessNoSpace(error: unknown): void {
  if (!isQcow2Error(error, 'no-space')) throw error;
}

function ioError(cause: unknown): Qcow2Error {
  return new Qcow2Error('io', `The device could not be written: ${reasonOf(cause)}`, { what: 'device' }, { cause });
}
