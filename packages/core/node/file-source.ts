/** Owns the source over a file of Node's file system, read synchronously: a promise would cost more than the read. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { type ByteSource, Qcow2Error, type Transfer } from '../src/index.js';
import { requireBuffers } from '../src/internal.js';
import { fileFailure, readTransfers } from './file-io.js';

/**
 * Opens a file for reading. Each contiguous run of a batch is one system call; a read of what was cut off since is refused.
 *
 * @throws {@link Qcow2Error} `not-found` when there is no such file, `io` when it cannot be opened or is no regular file.
 */
export function fileSource(path: string | URL): ByteSource {
  let fd: number | null = open(path);
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    closeSync(fd);
    throw new Qcow2Error('io', `"${path}" is not a regular file.`, { what: 'file' });
  }
  return {
    size: stat.size,
    read(transfers: readonly Transfer[], signal?: AbortSignal): void {
      signal?.throwIfAborted();
      if (fd === null) throw new Qcow2Error('closed', 'The file was closed.');
      requireBuffers(transfers);
      readTransfers(fd, transfers, stat.size);
    },
    close() {
      if (fd !== null) closeSync(fd);
      fd = null;
    },
  };
}

function open(path: string | URL): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw fileFailure(error, 0);
  }
}
