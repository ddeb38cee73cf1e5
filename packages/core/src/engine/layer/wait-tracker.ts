/** Owns the answer to a synchronous caller that would have to wait: for what. */
import { Qcow2Error } from '../../errors.js';

/** Which file made its caller wait last: what a synchronous caller is told. */
export interface WaitTracker {
  for: FilePlace | null;
}

/** A file of a chain: what it is to the image, and how far behind it. */
export interface FilePlace {
  readonly what: 'image' | 'backing file' | 'data file';
  readonly depth: number;
}

/** The error of a synchronous call that would have had to wait for a file, or, without one, for other requests. */
export function mustWait(place: FilePlace | null): Qcow2Error {
  const details = place ?? { what: 'other requests on the image' };
  return new Qcow2Error('not-synchronous', `The call would have to wait for the ${details.what}.`, { ...details });
}
