/** Owns the source over a file of Node's file system, read synchronously: a promise would cost more than the read. */
import { closeSync, fstatSync, openSync, readSync, readvSync } from 'node:fs';
import { type ByteSource, Qcow2Error, type Transfer } from '../src/index.js';

/** How many buffers one system call takes: Linux's IOV_MAX. */
const MOST_BUFFERS = 1024;

/**
 * Opens a file for reading. Each contiguous run of a batch is one system call.
 *
 * @throws {@link Qcow2Error} `not-found` when there is no such file, `io` when it cannot be opened or is no file.
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
      for (let first = 0; first < transfers.length; ) {
        const last = runEnd(transfers, first);
        if (last === first + 1) fill(fd, transfers[first]!);
        else fillRun(fd, transfers.slice(first, last));
        first = last;
      }
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
    throw failure(error, 0);
  }
}

/** The index behind the last transfer that carries on where the one before it ends. */
function runEnd(transfers: readonly Transfer[], first: number): number {
  let last = first + 1;
  let end = transfers[first]!.at + transfers[first]!.bytes.length;
  while (last < transfers.length && last - first < MOST_BUFFERS && transfers[last]!.at === end) {
    end += transfers[last]!.bytes.length;
    last++;
  }
  return last;
}

function fillRun(fd: number, run: readonly Transfer[]): void {
  const length = run.reduce((sum, { bytes }) => sum + bytes.length, 0);
  let count = 0;
  try {
    count = readvSync(
      fd,
      run.map(({ bytes }) => bytes),
      run[0]!.at,
    );
  } catch (error) {
    throw failure(error, run[0]!.at);
  }
  if (count === length) return;
  // A short count: the rest one by one, to the end of the file and zeros past it.
  for (const transfer of run) {
    const have = Math.min(count, transfer.bytes.length);
    count -= have;
    if (have < transfer.bytes.length) fill(fd, { at: transfer.at + have, bytes: transfer.bytes.subarray(have) });
  }
}

function fill(fd: number, { at, bytes }: Transfer): void {
  let done = 0;
  while (done < bytes.length) {
    let count: number;
    try {
      count = readSync(fd, bytes, done, bytes.length - done, at + done);
    } catch (error) {
      throw failure(error, at + done);
    }
    if (count === 0) {
      bytes.fill(0, done);
      return;
    }
    done += count;
  }
}

function failure(cause: unknown, at: number): Qcow2Error {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new Qcow2Error(code === 'ENOENT' ? 'not-found' : 'io', message, { what: 'file', at }, { cause });
}
