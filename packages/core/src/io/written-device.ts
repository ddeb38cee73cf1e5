/** Owns the counting of what is written, and the knowledge whether a device holds anything that is not flushed. */
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

  /** Writes a batch; an empty one is no call. */
  write(transfers: readonly Transfer[]): Done {
    if (transfers.length === 0) return;
    this.unflushed = true;
    this.#counters.deviceWrites++;
    for (const { bytes } of transfers) this.#counters.deviceBytesWritten += bytes.length;
    return this.#noting(() => this.#device.write(transfers));
  }

  /** Returns when everything is on the medium; when it is already, that is no call. */
  flush(): Done {
    if (!this.unflushed) return;
    this.#counters.deviceFlushes++;
    // Nothing is written meanwhile: whoever flushes is alone.
    this.unflushed = false;
    return this.#noting(() => this.#device.flush());
  }

  #noting(call: () => Done): Done {
    try {
      return call()?.catch((error: unknown) => {
        this.failure ??= error;
        throw error;
      });
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }
}
