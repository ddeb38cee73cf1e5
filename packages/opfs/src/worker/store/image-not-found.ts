/** The error for a name without an image in the store. */
import { Qcow2Error } from 'qcow2';

/** @throws {@link Qcow2Error} `not-found` */
export function imageNotFound(name: string): never {
  throw new Qcow2Error('not-found', `There is no image of the name "${name}".`, { name });
}
