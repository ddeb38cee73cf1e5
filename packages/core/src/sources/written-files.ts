/** Holds the files that images of this process write to: each has one writer at a time. */
import { Qcow2Error } from '../errors.js';
import type { BlockDevice } from '../io/device.js';
import { identityOf } from './identity.js';

/** By what they are known. Objects are held weakly: an image that is dropped without being closed keeps no memory. */
const objects = new WeakSet<object>();
const names = new Set<string>();

/**
 * Holds a device for one writer. `what` names it in the error. The result ends the hold; a second call of it does nothing.
 *
 * @throws {@link Qcow2Error} `locked` when another image of this process writes to the same file.
 */
export function holdForWriting(device: BlockDevice, what: string): () => void {
  const identity = identityOf(device);
  if (typeof identity === 'string' ? names.has(identity) : objects.has(identity)) {
    const message = `The ${what} is open for writing in this process already, as a file of another image. Close that first.`;
    throw new Qcow2Error('locked', message, { what });
  }
  if (typeof identity === 'string') names.add(identity);
  else objects.add(identity);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    if (typeof identity === 'string') names.delete(identity);
    else objects.delete(identity);
  };
}
