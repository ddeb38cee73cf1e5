/** Opens regular files of Node's file system and determines their identity. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Qcow2Error } from '../src/index.js';
import { refuse } from '../src/internal.js';
import { fileFailure } from './file-io.js';

/** An open regular file. */
export interface OpenFile {
  readonly fd: number;
  /** Length in bytes. */
  readonly size: number;
  /** Device and inode: the same for every path and descriptor of one file. */
  readonly identity: string;
}

/**
 * Opens a regular file. `flags` are those of `open(2)`.
 *
 * @throws {@link Qcow2Error} `not-found`, `exists`, `io` when it cannot be opened or is not a regular file; RangeError
 *   for a path with a lone surrogate, for which Node would open another file; TypeError for a path that is neither a
 *   string nor a file URL, or has a NUL.
 */
export function openFile(path: string | URL, flags: number): OpenFile {
  if (typeof path !== 'string' && !(path instanceof URL)) refuse('path', 'a string or a URL', path);
  if (/\p{Cs}/u.test(String(path))) {
    throw new RangeError(
      `${JSON.stringify(path)} has a lone surrogate, which no path can have: Node would open another file.`,
    );
  }
  // Without O_NONBLOCK, opening a FIFO blocks until another process opens it too. Windows does not have the flag.
  const fd = attempt(() => openSync(path, flags | (constants.O_NONBLOCK ?? 0)));
  try {
    // As BigInts: 64-bit inodes would be rounded to those of other files.
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
    // What is wrong with the path, in Node's words.
    if (error instanceof TypeError) throw error;
    throw fileFailure(error, 0);
  }
}
