/** Records which file a synchronous call would have to wait for, and makes the error. */
import { Qcow2Error } from '../../errors.js';

/** The file that last returned a promise: the error of a synchronous call names it. */
export interface WaitTracker {
  for: FileRole | null;
}

/** A file of a chain: its role for the image, and its depth in the chain. */
export interface FileRole {
  readonly what: 'image' | 'backing file' | 'data file';
  readonly depth: number;
}

/** The error of a synchronous call that would have to wait for a file or, without `place`, for other requests. */
export function notSynchronous(role: FileRole | null): Qcow2Error {
  const details = role ?? { what: 'other requests on the image' };
  return new Qcow2Error('not-synchronous', `The call would have to wait for the ${details.what}.`, { ...details });
}
