/** Opens regular files of Node's file system, and says which file a descriptor is of. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Qcow2Error } from '../src/index.js';
import { fileFailure } from './file-io.js';

/** A regular file, open. */
export interface OpenFile {
  readonly fd: number;
  /** Length in bytes. */
  readonly size: number;
  /** The same for every path and every descriptor of one file: its device and its inode. */
  readonly identity: string;
}

/**
 * Opens a regular file. `flags` are those of `open(2)`.
 *
 * @throws {@link Qcow2Error} `not-found`, `exists`, `io` when it cannot be opened or is no regular file; RangeError for
 *   a path that the file system would be asked for under another name.
 */
export function openFile(path: string | URL, flags: number): OpenFile {
  if (/\p{Cs}/u.test(String(path))) {
    throw new RangeError(
      `${JSON.stringify(path)} has a lone surrogate, which no path can have: Node would open another file.`,
    );
  }
  // Without O_NONBLOCK, which Windows does not have, the opening of a FIFO waits until another process opens it too.
  const fd = attempt(() => openSync(path, flags | (constants.O_NONBLOCK ?? 0)));
  try {
    // As BigInts: inodes of 64 bits would be rounded to those of other files.
    const stat = attempt(() => fstatSync(fd, { bigint: true }));
    if (!stat.isFile()) throw new Qcow2Error('io', `"${path}" is not a regular file.`, { what: 'file' });
    return { fd, size: Number(stat.size), identity: `file ${stat.dev}:${stat.ino}` };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fileFailure(error, 0);
  }
}
