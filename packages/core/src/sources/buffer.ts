/** A source that reads a Uint8Array. */

import type { ByteSource, Transfer } from '../api/device.js';
import { hasBytes, lengthOf, requireBuffers } from '../engine/async/request-buffers.js';
import { Qcow2Error } from '../errors.js';

/**
 * Creates a source that reads `bytes` without copying them: later changes are visible. When their buffer is detached or
 * shrunk, reads throw `changed`.
 *
 * @throws TypeError when `bytes` is not a Uint8Array, or is detached.
 *
 * @example
 * ```ts
 * import { bufferSource, Qcow2Image } from 'qcow2';
 *
 * const image = await Qcow2Image.open(bufferSource(bytes));
 * image.readSync(0, new Uint8Array(512)); // a buffer never makes its caller wait
 * ```
 */
export function bufferSource(bytes: Uint8Array): ByteSource {
  let open = true;
  const size = lengthOf(bytes);
  return {
    size,
    identity: bytes,
    read(transfers: readonly Transfer[], signal?: AbortSignal): void {
      signal?.throwIfAborted();
      if (!open) throw new Qcow2Error('closed', 'The buffer source was closed.');
      if (size > 0 && !hasBytes(bytes, size)) {
        throw new Qcow2Error('changed', 'The memory of the buffer source was detached or shrunk.', { what: 'file' });
      }
      requireBuffers(transfers);
      for (const { at, bytes: into } of transfers) {
        const part = bytes.subarray(Math.min(at, size), Math.min(at + into.length, size));
        into.set(part);
        into.fill(0, part.length);
      }
    },
    close() {
      open = false;
    },
  };
}
