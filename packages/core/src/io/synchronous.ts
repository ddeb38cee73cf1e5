/** Owns the answer to who makes a synchronous caller wait, before anything is written: a write that has begun must finish. */
import { Qcow2Error } from '../errors.js';
import type { ByteSource } from './device.js';
import type { Layer } from './layer.js';

/** The error that names the first file of a chain that is read with promises; null when none is. */
export function readsWait(top: Layer): Qcow2Error | null {
  for (let layer: Layer | null = top; layer !== null; layer = layer.kind === 'qcow2' ? layer.backing : null) {
    const { depth, source } = layer;
    const what = depth === 0 ? 'image' : 'backing file';
    if (promises(source)) return waits(what, depth);
    if (layer.kind === 'qcow2' && layer.data !== null && promises(layer.data)) return waits('data file', depth + 1);
  }
  return null;
}

/** The error of a synchronous call that would have had to wait for another request. */
export function othersAtWork(): Qcow2Error {
  const what = 'other requests on the image';
  return new Qcow2Error('not-synchronous', `The call would have to wait for ${what}.`, { what });
}

/** The error of a synchronous call for which a file makes its caller wait. */
export function waits(what: string, depth: number): Qcow2Error {
  return new Qcow2Error('not-synchronous', `The call would have to wait for the ${what}.`, { what, depth });
}

/** An empty batch changes nothing, and tells. */
function promises(source: ByteSource): boolean {
  const done = source.read([]);
  done?.catch(() => {});
  return done !== undefined;
}
