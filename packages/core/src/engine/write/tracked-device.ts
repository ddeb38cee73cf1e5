/** Owns the counting of what is written, and the knowledge whether a device holds anything that is not flushed. */

import type { BlockDevice, Done, Transfer } from '../../api/device.js';
import { isQcow2Error, Qcow2Error, reasonOf } from '../../errors.js';
import { adopted } from '../async/done.js';
import { requireBuffers } from '../async/request-buffers.js';
import type { Counters } from '../layer/counting-source.js';

/** The writing side of a device, counted. */
export class TrackedDevice {
  /** Something was written since the last flush. */
  unflushed = false;
  /** Why the first write or flush that failed did: what is on the medium is not known any more. */
  failure: unknown = null;
  /** A call has returned a promise: it makes its caller wait. */
  waited = false;
  /** There was a flush. */
  #flushed = false;
  readonly #device: BlockDevice;
  readonly #counters: Counters;

  constructor(device: BlockDevice, counters: Counters) {
    this.#device = device;
    this.#counters = counters;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#device.size;
  }

  /**
   * Learns whether the device makes its caller wait: if so, returns a promise. An empty batch tells, and changes
   * nothing. Only a flush tells of flushing: as long as there was none, one is made, so this must be alone.
   *
   * @throws as {@link write} does.
   */
  probe(): Done {
    const written = this.#noting(() => this.#device.write([]));
    return written ?? (this.#flushed ? undefined : this.#flush());
  }

  /**
   * Writes a batch; an empty one is no call.
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
   * Returns when everything is on the medium; when it is already, that is no call.
   *
   * @throws as {@link write} does.
   */
  flush(): Done {
    if (!this.unflushed) return;
    this.#counters.deviceFlushes++;
    // Nothing is written meanwhile: whoever flushes is alone.
    this.unflushed = false;
    return this.#flush();
  }

  #flush(): Done {
    this.#flushed = true;
    return this.#noting(() => this.#device.flush());
  }

  /** `intact` throws when the caller took a buffer away meanwhile, which says nothing about the device. */
  #noting(call: () => Done, intact: () => void = () => {}): Done {
    try {
      const done = adopted(call());
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

  /** Keeps the reason. A device may throw what it likes; who writes to an image gets an error of the closed set. */
  #fail(reason: unknown): never {
    const error = isQcow2Error(reason) ? reason : ioError(reason);
    this.failure ??= error;
    throw error;
  }
}

function ioError(cause: unknown): Qcow2Error {
  return new Qcow2Error('io', `The device could not be written: ${reasonOf(cause)}`, { what: 'device' }, { cause });
}
