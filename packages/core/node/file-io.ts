/** Reads transfers from a file descriptor, and converts errors of the file system. */
import { readSync, readvSync } from 'node:fs';
import { Qcow2Error, type Qcow2ErrorCode, type Transfer } from '../src/index.js';

/** Maximum buffers per system call: Linux's IOV_MAX. */
const MAX_BUFFERS = 1024;
/** Maximum bytes per system call: Node truncates a length of 2 GiB or more to 32 bits. */
export const MAX_CALL_BYTES: number = 1024 ** 3;

/**
 * Fills every transfer. Each contiguous run of transfers is one system call. Bytes past `size`, the length of the file
 * when it was opened, are zeros.
 *
 * @throws {@link Qcow2Error} `changed` when the file has become shorter than `size`, `io`.
 */
export function readTransfers(fd: number, transfers: readonly Transfer[], size: number): void {
  // The common small read: searching for runs would cost noticeable time.
  if (transfers.length === 1) {
    fill(fd, transfers[0]!, size);
    return;
  }
  for (let first = 0; first < transfers.length; ) {
    const last = runEnd(transfers, first);
    if (last === first + 1) fill(fd, transfers[first]!, size);
    else fillRun(fd, transfers.slice(first, last), size);
    first = last;
  }
}

/** Returns the index after the last transfer of a contiguous run, within the limits of one call. */
function runEnd(transfers: readonly Transfer[], first: number): number {
  const { at } = transfers[first]!;
  let last = first + 1;
  let end = at + transfers[first]!.bytes.length;
  while (last < transfers.length && last - first < MAX_BUFFERS && transfers[last]!.at === end) {
    end += transfers[last]!.bytes.length;
    if (end - at > MAX_CALL_BYTES) break;
    last++;
  }
  return last;
}

function fillRun(fd: number, run: readonly Transfer[], size: number): void {
  const length = run.reduce((sum, { bytes }) => sum + bytes.length, 0);
  let count = 0;
  try {
    count = readvSync(
      fd,
      run.map(({ bytes }) => bytes),
      run[0]!.at,
    );
  } catch (error) {
    throw fileFailure(error, run[0]!.at);
  }
  if (count === length) return;
  // A short read: reads the rest one by one, up to the end of the file, with zeros past it.
  for (const transfer of run) {
    const have = Math.min(count, transfer.bytes.length);
    count -= have;
    if (have < transfer.bytes.length) {
      fill(fd, { at: transfer.at + have, bytes: transfer.bytes.subarray(have) }, size);
    }
  }
}

function fill(fd: number, { at, bytes }: Transfer, size: number): void {
  let done = 0;
  while (done < bytes.length) {
    let count: number;
    try {
      count = readSync(fd, bytes, done, Math.min(bytes.length - done, MAX_CALL_BYTES), at + done);
    } catch (error) {
      throw fileFailure(error, at + done);
    }
    if (count === 0) {
      if (at + done < size) throw shortened(at + done);
      bytes.fill(0, done);
      return;
    }
    done += count;
  }
}

/** The error for a file that was truncated: zeros instead would look like the disk's data. */
function shortened(at: number): Qcow2Error {
  return new Qcow2Error('changed', 'The file became shorter since it was opened. Open it again.', { what: 'file', at });
}

/** Converts an error of the operating system. `at` is the offset, in bytes. */
export function fileFailure(cause: unknown, at: number): Qcow2Error {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new Qcow2Error(CODES.get(code ?? '') ?? 'io', message, { what: 'file', at }, { cause });
}

const CODES: ReadonlyMap<string, Qcow2ErrorCode> = new Map([
  ['ENOENT', 'not-found'],
  ['EEXIST', 'exists'],
  ['ENOSPC', 'no-space'],
  ['EDQUOT', 'no-space'],
]);
