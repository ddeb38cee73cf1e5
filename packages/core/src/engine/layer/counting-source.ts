/** Owns the counting of device calls, the figure that decides how fast the engine is. */
import type { ByteSource, Done, Transfer } from '../../api/device.js';
import { adopted } from '../async/done.js';
import type { FilePlace, WaitTracker } from './wait-tracker.js';

/** What the layers of a chain count together. */
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
 * The edge between the engine and a source that is read: counts what is asked of it into `counters`, notes that it had
 * to be waited for, and makes whatever it returns a promise of this realm.
 */
export class CountingSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #counters: Counters;
  readonly #place: FilePlace;
  readonly #wait: WaitTracker;
  /** Whether a read has returned a promise; null before the first read of bytes. One promise counts for good. */
  waited: boolean | null = null;

  constructor(source: ByteSource, counters: Counters, place: FilePlace, wait: WaitTracker) {
    this.#source = source;
    this.#counters = counters;
    this.#place = place;
    this.#wait = wait;
  }

  get size(): number {
    return this.#source.size;
  }

  /** Reads to learn whether that must be waited for, and counts nothing. */
  probe(transfers: readonly Transfer[]): Done {
    return adopted(this.#source.read(transfers));
  }

  read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
    if (transfers.length > 0) this.#counters.deviceReads++;
    this.#counters.deviceTransfers += transfers.length;
    for (const { bytes } of transfers) this.#counters.deviceBytes += bytes.length;
    const done = adopted(this.#source.read(transfers, signal));
    if (done !== undefined) {
      this.#wait.for = this.#place;
      this.waited = true;
    } else if (transfers.length > 0) this.waited ??= false;
    return done;
  }

  close(): Done {
    return adopted(this.#source.close?.());
  }
}
