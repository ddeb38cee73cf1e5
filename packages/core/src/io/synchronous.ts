/** Owns the answer to who makes a synchronous caller wait, before anything is written: a write that has begun must finish. */
import type { Qcow2Error } from '../errors.js';
import { mustWait } from './last-wait.js';
import type { Layer } from './layer.js';

/** The error that names the first file of a chain that is read with promises; null when none is. */
export function readsWait(top: Layer): Qcow2Error | null {
  for (let layer: Layer | undefined = top; layer; layer = layer.kind === 'qcow2' ? layer.backing?.layer : undefined) {
    const { depth, source } = layer;
    const what = depth === 0 ? 'image' : 'backing file';
    if (source.promises) return mustWait({ what, depth });
    if (layer.kind === 'qcow2' && layer.data?.promises) return mustWait({ what: 'data file', depth: depth + 1 });
  }
  return null;
}
