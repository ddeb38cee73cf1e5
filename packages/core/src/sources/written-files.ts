/** Holds the files that images of this process write to: each has one writer at a time. */

import type { BlockDevice } from '../api/device.js';
import { Qcow2Error } from '../errors.js';
import { identityOf } from './identity.js';

/**
 * The devices that are written to. Weakly: an image that is dropped without being closed holds neither memory nor its
 * file.
 */
interface Holders {
  get(identity: object | string): WeakRef<BlockDevice> | undefined;
  set(identity: object | string, holder: WeakRef<BlockDevice>): unknown;
  delete(identity: object | string): boolean;
}

const byObject: Holders = new WeakMap<object, WeakRef<BlockDevice>>();
const byName: Holders = new Map<object | string, WeakRef<BlockDevice>>();

/**
 * Holds a device for one writer, as long as the device has this identity: one that was closed may have none. `what`
 * names it in the error. The result ends the hold; a second call of it does nothing.
 *
 * @throws {@link Qcow2Error} `locked` when another image of this process writes to the same file.
 */
export function holdForWriting(device: BlockDevice, what: string): () => void {
  const identity = identityOf(device);
  const holders = typeof identity === 'string' ? byName : byObject;
  const holder = holders.get(identity)?.deref();
  if (holder !== undefined && identityOf(holder) === identity) {
    const message = `The ${what} is open for writing in this process already, as a file of another image. Close that first.`;
    throw new Qcow2Error('locked', message, { what });
  }
  const hold = new WeakRef(device);
  holders.set(identity, hold);
  return () => {
    // The hold of a closed device may be another image's by now.
    if (holders.get(identity) === hold) holders.delete(identity);
  };
}
