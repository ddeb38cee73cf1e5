/** Owns the copying of what is imported onto the device of a new file. */
import type { BlockDevice, OperationOptions } from 'qcow2';
import { discardBuffer, progressOf, turns } from 'qcow2/internal';
import type { ImportSource } from './import-source.js';
import { unlessAborted } from './unless-aborted.js';

/** What an operation that can be aborted takes here. */
export type AbortableOptions = OperationOptions & { signal: AbortSignal };

/** Writes all of the source, from the device's start on. Throws what either throws; the signal's reason. */
export async function copyInto(device: BlockDevice, source: ImportSource, options: AbortableOptions): Promise<void> {
  const progress = progressOf(options, 'import', source.size ?? Number.POSITIVE_INFINITY);
  const turn = turns();
  let at = 0;
  for (;;) {
    await turn();
    const bytes = await unlessAborted(source.next(), options.signal);
    if (!bytes) break;
    await device.write([{ at, bytes }]);
    at += bytes.length;
    discardBuffer(bytes);
    progress(at);
  }
  progress(at, true);
}
