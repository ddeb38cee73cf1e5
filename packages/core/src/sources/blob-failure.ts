/** Makes errors of this library of what a Blob fails with. */
import { isQcow2Error, Qcow2Error, reasonOf } from '../errors.js';

/** How browsers say that a chosen file is no longer what it was; AbortError is Firefox's word for one that is gone. */
const GONE: readonly unknown[] = ['NotReadableError', 'NotFoundError', 'AbortError'];

/**
 * What reading a Blob threw, as an error of this library: `changed` when the file is no longer what it was, else `io`.
 * `at` is where it was read, in bytes.
 */
export function blobFailure(error: unknown, at: number): Qcow2Error {
  if (isQcow2Error(error)) return error;
  if (GONE.includes((error as { name?: unknown } | null)?.name)) return changedBlob(at, error);
  const message = `The file could not be read: ${reasonOf(error)}`;
  return new Qcow2Error('io', message, { what: 'file', at }, { cause: error });
}

/** The error of a file that is no longer what it was when it was chosen. */
export function changedBlob(at: number, cause?: unknown): Qcow2Error {
  const message = 'The file was changed, moved or deleted since it was chosen. Choose it again.';
  return new Qcow2Error('changed', message, { what: 'file', at }, { cause });
}
