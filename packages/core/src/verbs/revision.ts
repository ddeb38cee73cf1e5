/** The revision of an image, for `qcow2/internal`. */
import type { Disk } from '../api/disk.js';

/**
 * The key of an image's revision. It is registered: a development server may load `qcow2` and `qcow2/internal` as two
 * copies, of which one's classes do not know the other's private members.
 */
export const REVISION: unique symbol = Symbol.for('qcow2.revision');

/** A number that rises when `info` of the image changes, but for `fileSize`. */
export function revisionOf(image: Disk): number {
  return (image as Disk & { readonly [REVISION]: number })[REVISION];
}
