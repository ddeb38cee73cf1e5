/** What the verbs of snapshots have in common: what they refuse, and pauses. */
import type { Steps } from '../../engine/async/steps.js';
import { yieldWhenDue } from '../../engine/async/yield-to-event-loop.js';
import type { Structure } from '../../engine/write/structure.js';
import { Qcow2Error } from '../../errors.js';

/**
 * Refuses an image that can have no snapshots.
 *
 * @throws {@link Qcow2Error} `unsupported`.
 */
export function refuseDataFile({ layer }: Structure): void {
  if (!layer.geometry.externalData) return;
  const message = 'An image with an external data file can have no snapshots: its clusters have no refcounts.';
  throw new Qcow2Error('unsupported', message, { what: 'external data file' });
}

/** Makes a step that lets other tasks run when it is time, and ends when `signal` aborts. */
export function pauses(signal: AbortSignal): () => Steps {
  const yieldIfDue = yieldWhenDue();
  return function* () {
    yield yieldIfDue();
    signal.throwIfAborted();
  };
}
