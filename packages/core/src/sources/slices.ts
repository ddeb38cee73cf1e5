/** Owns the source over anything that answers with the bytes of a range: what the adapters have in common. */

import type { ByteSource } from '../api/device.js';
import { all, settled } from '../engine/async/done.js';
import { linkedAbort } from '../engine/async/linked-abort.js';
import { type FixedTransfer, fixedTransfers, put, requireAllIntact } from '../engine/async/request-buffers.js';
import { isQcow2Error, Qcow2Error, reasonOf } from '../errors.js';

/** Answers with the bytes `[start, end)`, all of them. */
export type ReadSlice = (start: number, end: number, signal: AbortSignal) => Promise<Uint8Array>;

/**
 * A source of `size` bytes of `identity` that makes one call of `slice` a transfer, all of a batch at once; `what`
 * stands in errors.
 */
export function slicesSource(identity: object, size: number, what: string, slice: ReadSlice): ByteSource {
  const closing = new AbortController();
  const fill = async ({ at, bytes, length: whole }: FixedTransfer, signal: AbortSignal): Promise<void> => {
    const length = Math.max(0, Math.min(whole, size - at));
    bytes.fill(0, length);
    if (length === 0) return;
    const found = await guarded(slice(at, at + length, signal), what, at);
    if (found.length !== length) {
      const message = `${what} answered with ${found.length} bytes at ${at}, and ${length} were asked for.`;
      throw new Qcow2Error('io', message, { what, at });
    }
    // After an abort, or closing, the caller has the buffer back.
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
