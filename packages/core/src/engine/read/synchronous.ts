/**
 * The synchronous forms of requests: they are refused before they start where a file makes its caller wait, since a
 * request that has begun must finish. Loaded where the image's own file has not made its caller wait so far.
 */

import type { Done } from '../../api/device.js';
import type { Qcow2Error } from '../../errors.js';
import type { CountingSource } from '../layer/counting-source.js';
import type { Layer, Qcow2Layer } from '../layer/layer.js';
import { mustWait, type WaitTracker } from '../layer/wait-tracker.js';

/** The error that names what a read would have to wait for; null when it need not wait. */
export function readWaits(layer: Qcow2Layer): Qcow2Error | null {
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
export function atOnce(waitTracker: WaitTracker, work: () => Done): void {
  waitTracker.for = null;
  const done = work();
  if (done === undefined) return;
  done.catch(() => {});
  throw mustWait(waitTracker.for);
}
