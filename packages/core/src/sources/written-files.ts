/** Locks the files that images of this process write to: each has one writer at a time. */

import type { BlockDevice } from '../api/device.js';
import { Qcow2Error } from '../errors.js';
import { identityOf } from './identity.js';

/**
 * The devices that are written to, weakly referenced: an image that is garbage-collected without being closed releases
 * its file.
 */
interface Holders {
  get(identity: object | string): WeakRef<BlockDevice> | undefined;
  set(identity: object | string, holder: WeakRef<BlockDevice>): unknown;
  delete(identity: object | string): boolean;
}

const byObject: Holders = new WeakMap<object, WeakRef<BlockDevice>>();
const byName: Holders = new Map<object | string, WeakRef<BlockDevice>>();

/**
 * Locks a device for one writer, while the device has this identity: a closed one may have none. `what` is its name in
 * the error. The returned function releases the lock; a second call does nothing.
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
    // After the device was closed, another image may have the lock.
    if (holders.get(identity) === hold) holders.delete(identity);
  };
}
