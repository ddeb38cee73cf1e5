/** The error for a cluster that lies past the end of its file. */
import { Qcow2Error } from '../../errors.js';
import { hex } from '../../format/bytes.js';
import type { Qcow2Layer } from '../layer/layer.js';

/** The error for a data or compressed cluster whose bytes at the host offset `at` lie past the end of the file. */
export function pastEnd(
  { source: { size } }: Qcow2Layer,
  kind: 'data' | 'compressed',
  at: number,
): Qcow2Error<'corrupt'> {
  const what = `${kind} cluster`;
  return new Qcow2Error(
    'corrupt',
    `The image has a ${what} at ${hex(at)}, but the file ends at ${hex(size)}. Is it cut short?`,
    { what, at, fileSize: size },
  );
}
