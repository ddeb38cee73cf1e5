/** Makes the error for a file that is no qcow2 image, with the format of the file where it is recognized. */

import type { ByteSource } from '../../api/device.js';
import { Qcow2Error } from '../../errors.js';
import { viewOf } from '../../format/bytes.js';
import { MAGIC } from '../../format/header.js';
import { IDENTIFY_HEAD_BYTES, IDENTIFY_TAIL_BYTES, identify } from '../../format/identify.js';
import { readBytes } from './read-bytes.js';

/** The error `not-qcow2` for a file that begins with `head`; reads the file's end too. */
export async function notQcow2(
  source: ByteSource,
  head: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Qcow2Error> {
  const tail = await readBytes(source, Math.max(0, source.size - IDENTIFY_TAIL_BYTES), IDENTIFY_TAIL_BYTES, signal);
  const found = identify(head.subarray(0, IDENTIFY_HEAD_BYTES), tail);
  const message = found === null ? 'This is not a qcow2 image.' : `This is not a qcow2 image: it is ${found}.`;
  const magic = head.length < 4 ? undefined : viewOf(head).getUint32(0);
  return new Qcow2Error('not-qcow2', message, {
    what: 'magic',
    at: 0,
    found: found ?? undefined,
    magic,
    expected: MAGIC,
  });
}
