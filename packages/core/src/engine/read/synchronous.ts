/**
 * The synchronous forms of requests: they are refused before they start where a file makes its caller wait, since a
 * request that has begun must finish. Loaded where the image's own file has not made its caller wait so far.
 */

import type { Done } from '../../api/device.js';
import type { Qcow2Error } from '../../errors.js';
import { lengthOf } from '../async/request-buffers.js';
import type { CountingSource } from '../layer/counting-source.js';
import type { Layer, Qcow2Layer } from '../layer/layer.js';
import { mustWait, type WaitTracker } from '../layer/wait-tracker.js';
import { requireInside } from '../mapping/guest-range.js';
import { readGuest } from './execute.js';

/** What the synchronous forms need of an open image. */
export interface SynchronousImage {
  readonly layer: Qcow2Layer;
  readonly waitTracker: WaitTracker;
}

/**
 * Fills `into` with the guest's bytes from `offset` on.
 *
 * @throws {@link Qcow2Error} `not-synchronous`, and as reading does
 */
export function read({ layer, waitTracker }: SynchronousImage, offset: number, into: Uint8Array): void {
  requireInside(offset, lengthOf(into), layer.size);
  atOnce(waitTracker, readWaits(layer), () => readGuest(layer, [{ at: offset, bytes: into }]));
}

/**
 * Carries out a change, unless the writer says what it would wait for.
 *
 * @throws {@link Qcow2Error} `not-synchronous`, and what the change throws
 */
export function change(
  { waitTracker }: SynchronousImage,
  { waiting }: { readonly waiting: Qcow2Error | null },
  work: () => Done,
): void {
  atOnce(waitTracker, waiting, work);
}

/** The error that names what a read would have to wait for; null when it need not wait. */
function readWaits(layer: Qcow2Layer): Qcow2Error | null {
  return layer.gate?.busy ? mustWait(null) : readsWait(layer);
}

/** The error that names the first file of a chain that is read with promises; null when none is. */
export function readsWait(top: Layer): Qcow2Error | null {
  for (let layer: Layer | undefined = top; layer; layer = layer.kind === 'qcow2' ? layer.backing?.layer : undefined) {
    const { depth, source } = layer;
    const what = depth === 0 ? 'image' : 'backing file';
    if (promises(source)) return mustWait({ what, depth });
    if (layer.kind === 'qcow2' && layer.data !== null && promises(layer.data)) {
      return mustWait({ what: 'data file', depth: depth + 1 });
    }
  }
  return null;
}

/**
 * Whether a read must be waited for. An empty batch tells, and changes nothing. A source that does not tell is known by
 * the reads that it has carried out; before the first, one byte is read.
 */
function promises(source: CountingSource): boolean {
  if (source.waited) return true;
  const first = source.waited === null && source.size > 0 ? { at: 0, bytes: new Uint8Array(1) } : null;
  const done = source.probe([]) ?? (first === null ? undefined : source.probe([first]));
  done?.catch(() => {});
  source.waited = done !== undefined;
  return source.waited;
}

/**
 * Carries out what was found to be synchronous. A device that returns a promise all the same is refused, too late to
 * stop it.
 */
function atOnce(waitTracker: WaitTracker, wait: Qcow2Error | null, work: () => Done): void {
  if (wait !== null) throw wait;
  waitTracker.for = null;
  const done = work();
  if (done === undefined) return;
  done.catch(() => {});
  throw mustWait(waitTracker.for);
}
