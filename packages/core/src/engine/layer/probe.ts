/** Probes the format of a file. */

import type { ByteSource } from '../../api/device.js';
import { isQcow2 } from '../../format/header.js';
import { readBytes } from './read-bytes.js';

/** The probed format of a file: qcow2 by its magic, else raw. */
export async function probeFormat(source: ByteSource, signal: AbortSignal | undefined): Promise<'qcow2' | 'raw'> {
  const head = await readBytes(source, 0, Math.min(8, source.size), signal);
  return isQcow2(head) ? 'qcow2' : 'raw';
}
