/** Owns the counting of device calls, the figure that decides how fast the engine is. */
import type { ByteSource, Done, Transfer } from './device.js';
import type { FilePlace, LastWait } from './last-wait.js';

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

/** A source that counts into `counters` what is asked of `source`, and notes that it had to be waited for. */
export function counted(source: ByteSource, counters: Counters, place: FilePlace, wait: LastWait): ByteSource {
  return {
    get size() {
      return source.size;
    },
    read(transfers: readonly Transfer[], signal?: AbortSignal): Done {
      // An empty batch only asks whether the source makes its caller wait.
      if (transfers.length > 0) counters.deviceReads++;
      counters.deviceTransfers += transfers.length;
      for (const { bytes } of transfers) counters.deviceBytes += bytes.length;
      const done = source.read(transfers, signal);
      if (done !== undefined) wait.for = place;
      return done;
    },
    close: () => source.close?.(),
  };
}
