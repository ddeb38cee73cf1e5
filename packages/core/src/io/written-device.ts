/** Owns the counting of what is written, and the knowledge whether a device holds anything that is not flushed. */
import { isQcow2Error, Qcow2Error } from '../errors.js';
import type { Counters } from './counted.js';
import type { BlockDevice, Done, Transfer } from './device.js';

/** The writing side of a device, counted. */
export class WrittenDevice {
  /** Something was written since the last flush. */
  unflushed = false;
  /** Why the first write or flush that failed did: what is on the medium is not known any more. */
  failure: unknown = null;
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

  /** Whether the device makes its caller wait: an empty batch changes nothing and tells. */
  get promises(): boolean {
    const done = this.#device.write([]);
    done?.catch(() => {});
    return done !== undefined;
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
    return this.#noting(() => this.#device.write(transfers));
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
    return this.#noting(() => this.#device.flush());
  }

  #noting(call: () => Done): Done {
    try {
      return call()?.catch((error: unknown) => this.#fail(error));
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
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Qcow2Error('io', `The device could not be written: ${why}`, { what: 'device' }, { cause });
}
