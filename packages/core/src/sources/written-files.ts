/** The files that images of this process write to: they must be devices, and each has one writer at a time. */

import type { BlockDevice } from '../api/device.js';
import { refuse } from '../arguments.js';
import { Qcow2Error } from '../errors.js';
import { identityOf } from './identity.js';
import { isBlockDevice } from './openable.js';

/**
 * The devices that are written to, weakly referenced: an image that is garbage-collected without being closed releases
 * its file.
 */
interface WriterMap {
  get(identity: object | string): WeakRef<BlockDevice> | undefined;
  set(identity: object | string, writer: WeakRef<BlockDevice>): unknown;
  delete(identity: object | string): boolean;
}

const writersByObject: WriterMap = new WeakMap<object, WeakRef<BlockDevice>>();
const writersByName: WriterMap = new Map<object | string, WeakRef<BlockDevice>>();

/**
 * Checks that a value can be written to. `name` is its name in the error.
 *
 * @throws TypeError
 */
export function requireDevice(name: string, value: unknown): asserts value is BlockDevice {
  if (!isBlockDevice(value)) refuse(name, 'a BlockDevice, with read, write, truncate and flush', value);
}

/**
 * Locks a device for one writer, while the device has this identity: a closed one may have none. `what` is its name in
 * the error. The returned function releases the lock; a second call does nothing.
 *
 * @throws {@link Qcow2Error} `locked` when another image of this process writes to the same file.
 */
export function lockForWriting(device: BlockDevice, what: string): () => void {
  const identity = identityOf(device);
  const writers = typeof identity === 'string' ? writersByName : writersByObject;
  const writer = writers.get(identity)?.deref();
  if (writer !== undefined && identityOf(writer) === identity) {
    const message = `The ${what} is open for writing in this process already, by another image. Close that first.`;
    throw new Qcow2Error('locked', message, { what });
  }
  const reference = new WeakRef(device);
  writers.set(identity, reference);
  return () => {
    // After the device was closed, another image may have the lock.
    if (writers.get(identity) === reference) writers.delete(identity);
  };
}
