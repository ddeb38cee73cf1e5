/** A source that reads a file of Node's file system synchronously: a promise would cost more than the read. */
import { closeSync, constants } from 'node:fs';
import { type ByteSource, Qcow2Error, type Transfer } from '../src/index.js';
import { requireBuffers } from '../src/internal.js';
import { readTransfers } from './file-io.js';
import { openFile } from './open-file.js';

/**
 * Opens a file for reading. Each contiguous run of a batch is one system call. A read past the end of a file that was
 * truncated meanwhile throws `changed`. No lock is taken, since Node cannot, and none is looked for: a process that
 * writes to the file is not detected.
 *
 * @throws {@link Qcow2Error} `not-found` when there is no such file, `io` when it cannot be opened or is not a regular
 *   file; RangeError for a path with a lone surrogate; TypeError for a path that is neither a string nor a file URL.
 *
 * @example
 * ```ts
 * import { Qcow2Image } from 'qcow2';
 * import { fileSource } from 'qcow2/node';
 *
 * const file = fileSource('disk.qcow2');
 * const image = await Qcow2Image.open(file);
 * console.log(image.size);
 * await image.close();
 * await file.close?.(); // closing the image does not close it
 * ```
 */
export function fileSource(path: string | URL): ByteSource {
  const { fd, size, identity } = openFile(path, constants.O_RDONLY);
  let open = true;
  return {
    size,
    identity,
    read(transfers: readonly Transfer[], signal?: AbortSignal): void {
      signal?.throwIfAborted();
      if (!open) throw new Qcow2Error('closed', 'The file was closed.');
      requireBuffers(transfers);
      readTransfers(fd, transfers, size);
    },
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}
