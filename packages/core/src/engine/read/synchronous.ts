/**
 * The synchronous forms of requests. They throw before they start if a file is asynchronous, since a request that has
 * begun must finish. Loaded on demand, if the image's own file has been synchronous so far.
 */

import type { Done } from '../../api/device.js';
import type { Qcow2Error } from '../../errors.js';
import { lengthOf } from '../async/request-buffers.js';
import type { CountingSource } from '../layer/counting-source.js';
import type { Layer, Qcow2Layer } from '../layer/layer.js';
import { notSynchronous, type WaitTracker } from '../layer/wait-tracker.js';
import { requireInside } from '../mapping/guest-range.js';
import { readGuest } from './execute.js';

/** The parts of an open image that the synchronous forms need. */
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
  runSynchronously(waitTracker, readRefusal(layer), () => readGuest(layer, [{ at: offset, bytes: into }]));
}

/**
 * Carries out a change. Throws if the writer would have to wait.
 *
 * @throws {@link Qcow2Error} `not-synchronous`, and what the change throws
 */
export function change(
  { waitTracker }: SynchronousImage,
  { waiting }: { readonly waiting: Qcow2Error | null },
  work: () => Done,
): void {
  runSynchronously(waitTracker, waiting, work);
}

/** The error that names what a read would have to wait for; null when it need not wait. */
function readRefusal(layer: Qcow2Layer): Qcow2Error | null {
  return layer.lock?.busy ? notSynchronous(null) : asynchronousFile(layer);
}

/** The error that names the first asynchronous file of a chain; null when there is none. */
export function asynchronousFile(top: Layer): Qcow2Error | null {
  for (let layer: Layer | undefined = top; layer; layer = layer.kind === 'qcow2' ? layer.backing?.layer : undefined) {
    const { depth, source } = layer;
    const what = depth === 0 ? 'image' : 'backing file';
    if (isAsynchronous(source)) return notSynchronous({ what, depth });
    if (layer.kind === 'qcow2' && layer.data !== null && isAsynchronous(layer.data)) {
      return notSynchronous({ what: 'data file', depth: depth + 1 });
    }
  }
  return null;
}

/**
 * True if a read returns a promise. An empty batch may show it, and changes nothing. If it does not, earlier reads show
 * it; before the first read, one byte is read.
 */
function isAsynchronous(source: CountingSource): boolean {
  if (source.waited) return true;
  const first = source.waited === null && source.size > 0 ? { at: 0, bytes: new Uint8Array(1) } : null;
  const done = source.probe([]) ?? (first === null ? undefined : source.probe([first]));
  done?.catch(() => {});
  source.waited = done !== undefined;
  return source.waited;
}

/**
 * Runs `work`, which was found to be synchronous. If a device returns a promise nevertheless, this throws, though the
 * request has started.
 */
function runSynchronously(waitTracker: WaitTracker, refusal: Qcow2Error | null, work: () => Done): void {
  if (refusal !== null) throw refusal;
  waitTracker.for = null;
  const done = work();
  if (done === undefined) return;
  done.catch(() => {});
  throw notSynchronous(waitTracker.for);
}
