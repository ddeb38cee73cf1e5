/** Counts device calls. Their number dominates the engine's speed. */
import type { ByteSource, Done, Transfer } from '../../api/device.js';
import { asPromise } from '../async/done.js';
import type { FileRole, WaitTracker } from './wait-tracker.js';

/** The counters that all layers of a chain share. */
export interface Counters {
  /** Calls of a source's `read`, the transfers in them, and their bytes. */
  deviceReads: number;
  deviceTransfers: number;
  deviceBytes: number;
  /** Calls of a device's `write`, their bytes, and calls of its `flush`. */
  deviceWrites: number;
  deviceBytesWritten: number;
  deviceFlushes: number;
  /** L2 tables loaded. */
  l2Loads: number;
  /** Compressed clusters inflated. */
  inflatedClusters: number;
}

/** Counters at zero. */
export function newCounters(): Counters {
  return {
    deviceReads: 0,
    deviceTransfers: 0,
    deviceBytes: 0,
    deviceWrites: 0,
    deviceBytesWritten: 0,
    deviceFlushes: 0,
    l2Loads: 0,
    inflatedClusters: 0,
  };
}

/**
 * Wraps a source: counts the calls and bytes in `counters`, records whether it returned a promise, and turns what it
 * returns into a promise of this realm.
 */
export class CountingSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #counters: Counters;
  readonly #role: FileRole;
  readonly #waitTracker: WaitTracker;
  /** True once a read has returned a promise, and from then on; null before the first read of bytes. */
  waited: boolean | null = null;

  constructor(source: ByteSource, counters: Counters, role: FileRole, waitTracker: WaitTracker) {
    this.#source = source;
    this.#counters = counters;
    this.#role = role;
    this.#waitTracker = waitTracker;
  }

  get size(): number {
    return this.#source.size;
  }

  /** Reads to find out whether that returns a promise, and counts nothing. */
  probe(transfers: readonly Transfer[]): Done {
    return asPromise(this.#source.read(transfers));
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    if (transfers.length > 0) this.#counters.deviceReads++;
    this.#counters.deviceTransfers += transfers.length;
    for (const { bytes } of transfers) this.#counters.deviceBytes += bytes.length;
    const done = asPromise(this.#source.read(transfers, signal));
    if (done !== undefined) {
      this.#waitTracker.for = this.#role;
      this.waited = true;
    } else if (transfers.length > 0) this.waited ??= false;
    return done;
  }

  close(): Done {
    return asPromise(this.#source.close?.());
  }
}
