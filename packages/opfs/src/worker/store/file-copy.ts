/** Copies what is imported into a new file. */
import type { OperationOptions } from 'qcow2';
import { progressOf, releaseBuffer, turns } from 'qcow2/internal';
import { unlessAborted } from '../calls/unless-aborted.js';
import type { Draft } from '../storage/folder.js';
import type { ImportSource } from './import-source.js';

/** What an operation that can be aborted takes here. */
export interface AbortableOptions extends OperationOptions {
  signal: AbortSignal;
  /**
   * Resolves when every report so far has been delivered, and rejects when the callback threw. To be awaited after the
   * last report, and before the result is final.
   */
  reported?: (() => Promise<void>) | undefined;
}

/** How much is written before it is flushed while more is: small enough to leave the last flush little. Bytes. */
const FLUSH_EVERY = 8 * 1024 * 1024;
/** Whatever is shorter is copied before a flush beside it would have begun. Bytes. */
const LONG = 32 * 1024 * 1024;

/** Writes all of the source, from the file's start on. Throws what either throws; the signal's reason. */
export async function copyInto(draft: Draft, source: ImportSource, options: AbortableOptions): Promise<void> {
  const progress = progressOf(options, 'import', source.size ?? Number.POSITIVE_INFINITY);
  const turn = turns();
  // From the start on: what flushes takes its time to be there. Not where the file grows meanwhile, as by a stream:
  // while it has two handles Chromium counts its growth twice, and never gives that back, also when the file is
  // deleted.
  let flushAt = source.size !== null && source.size >= LONG ? 0 : Number.POSITIVE_INFINITY;
  let at = 0;
  for (;;) {
    if (at >= flushAt) {
      draft.flushAhead();
      flushAt = at + FLUSH_EVERY;
    }
    await turn();
    const bytes = await unlessAborted(source.next(), options.signal);
    if (!bytes) break;
    await draft.device.write([{ at, bytes }]);
    at += bytes.length;
    releaseBuffer(bytes);
    progress(at);
  }
  progress(at, true);
}
