/** Converts errors of Blob reads to {@link Qcow2Error}. */
import { isQcow2Error, Qcow2Error, reasonOf } from '../errors.js';

/**
 * Names of the errors that browsers throw for a chosen file that has changed. Firefox throws AbortError for a deleted
 * one.
 */
const GONE: readonly unknown[] = ['NotReadableError', 'NotFoundError', 'AbortError'];

/**
 * Converts the error of a Blob read: `changed` when the file has changed, else `io`. `at` is the offset of the read, in
 * bytes.
 */
export function blobFailure(error: unknown, at: number): Qcow2Error {
  if (isQcow2Error(error)) return error;
  if (GONE.includes((error as { name?: unknown } | null)?.name)) return changedBlob(at, error);
  const message = `The file could not be read: ${reasonOf(error)}`;
  return new Qcow2Error('io', message, { what: 'file', at }, { cause: error });
}

/**
 * Checks that a Blob of size 0 is an empty file: Chromium gives a deleted one that size, and an empty Blob in its place
 * to workers.
 *
 * @throws as {@link blobFailure} says, where the Blob cannot be read.
 */
export async function requireEmpty(blob: Blob): Promise<void> {
  try {
    await blob.arrayBuffer();
  } catch (error) {
    throw blobFailure(error, 0);
  }
}

/** The error for a file that has changed since it was chosen. */
export function changedBlob(at: number, cause?: unknown): Qcow2Error {
  const message = 'The file was changed, moved or deleted since it was chosen. Choose it again.';
  return new Qcow2Error('changed', message, { what: 'file', at }, { cause });
}
