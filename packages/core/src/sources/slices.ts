/** A source that reads with a function that returns the bytes of a range. The adapters use it. */

import type { ByteSource } from '../api/device.js';
import { all, settled } from '../engine/async/done.js';
import { linkedAbort } from '../engine/async/linked-abort.js';
import { type FixedTransfer, fixedTransfers, put, requireAllIntact } from '../engine/async/request-buffers.js';
import { isQcow2Error, Qcow2Error, reasonOf } from '../errors.js';

/** Returns all of the bytes `[start, end)`. */
export type ReadSlice = (start: number, end: number, signal: AbortSignal) => Promise<Uint8Array>;

/**
 * Creates a source of `size` bytes. Each transfer is one call of `slice`; the calls of a batch are concurrent. `what`
 * is its name in error messages.
 */
export function slicesSource(identity: object, size: number, what: string, slice: ReadSlice): ByteSource {
  const closing = new AbortController();
  const fill = async ({ at, bytes, length: whole }: FixedTransfer, signal: AbortSignal): Promise<void> => {
    const length = Math.max(0, Math.min(whole, size - at));
    bytes.fill(0, length);
    if (length === 0) return;
    const found = await guarded(slice(at, at + length, signal), what, at);
    if (found.length !== length) {
      const message = `${what} returned ${found.length} bytes at ${at} instead of ${length}.`;
      throw new Qcow2Error('io', message, { what, at });
    }
    // After an abort or `close` nothing may be written into the caller's buffer.
    if (!signal.aborted) put(bytes, 0, found);
  };
  return {
    size,
    identity,
    async read(transfers, signal) {
      const link = linkedAbort(signal, closing.signal);
      try {
        link.signal.throwIfAborted();
        const batch = fixedTransfers(transfers);
        const reads = batch.map((transfer) => () => fill(transfer, link.signal));
        await settled(Promise.resolve(all(reads)), link.signal);
        requireAllIntact(batch);
      } finally {
        link.release();
      }
    },
    close() {
      closing.abort(new Qcow2Error('closed', `${what} was closed.`));
    },
  };
}

async function guarded(slice: Promise<Uint8Array>, what: string, at: number): Promise<Uint8Array> {
  try {
    return await slice;
  } catch (error) {
    if (isQcow2Error(error)) throw error;
    throw new Qcow2Error('io', `${what} could not be read: ${reasonOf(error)}`, { what, at }, { cause: error });
  }
}
