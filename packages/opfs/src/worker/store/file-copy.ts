/** Copies imported bytes into a new file. */
import type { OperationOptions } from 'qcow2';
import { progressOf, releaseBuffer, yieldToEventLoop } from 'qcow2/internal';
import { unlessAborted } from '../calls/unless-aborted.js';
import type { Draft } from '../storage/folder.js';
import type { ImportSource } from './import-source.js';

/** Options of an operation that can be aborted. */
export interface AbortableOptions extends OperationOptions {
  signal: AbortSignal;
  /**
   * Resolves when every report so far has been delivered, and rejects when the callback threw. Must be awaited after
   * the last report, before the result is final.
   */
  reported?: (() => Promise<void>) | undefined;
}

/** How many bytes are written between parallel flushes: few enough that the last flush is short. Bytes. */
const FLUSH_EVERY = 8 * 1024 * 1024;
/** A shorter file is copied before a parallel flush would have begun. Bytes. */
const LONG = 32 * 1024 * 1024;

/** Writes the whole source, from the start of the file. Throws what either throws; the signal's reason. */
export async function copyInto(draft: Draft, source: ImportSource, options: AbortableOptions): Promise<void> {
  const progress = progressOf(options, 'import', source.size ?? Number.POSITIVE_INFINITY);
  const yieldIfDue = yieldToEventLoop();
  // From the start, since the flusher takes time to start. Not if the file grows meanwhile, as with a stream: while a
  // file has two handles Chromium counts its growth twice, and never corrects that, not even when the file is deleted.
  let flushAt = source.size !== null && source.size >= LONG ? 0 : Number.POSITIVE_INFINITY;
  let at = 0;
  for (;;) {
    if (at >= flushAt) {
      draft.flushAhead();
      flushAt = at + FLUSH_EVERY;
    }
    await yieldIfDue();
    const bytes = await unlessAborted(source.next(), options.signal);
    if (!bytes) break;
    await draft.device.write([{ at, bytes }]);
    at += bytes.length;
    releaseBuffer(bytes);
    progress(at);
  }
  progress(at, true);
}
