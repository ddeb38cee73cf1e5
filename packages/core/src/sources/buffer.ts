/** Owns the source over bytes that are in memory already. */
import { Qcow2Error } from '../errors.js';
import type { ByteSource, Transfer } from '../io/device.js';

/** A source that reads from `bytes`, without copying them first: what is changed there is seen here. */
export function bufferSource(bytes: Uint8Array): ByteSource {
  let open = true;
  return {
    size: bytes.length,
    identity: bytes,
    read(transfers: readonly Transfer[], signal?: AbortSignal): void {
      signal?.throwIfAborted();
      if (!open) throw new Qcow2Error('closed', 'The buffer source was closed.');
      for (const { at, bytes: into } of transfers) {
        const part = bytes.subarray(Math.min(at, bytes.length), at + into.length);
        into.set(part);
        into.fill(0, part.length);
      }
    },
    close() {
      open = false;
    },
  };
}
