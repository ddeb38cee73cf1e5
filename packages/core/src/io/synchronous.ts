/** Owns the answer to who makes a synchronous caller wait. */
import { Qcow2Error } from '../errors.js';
import type { ByteSource } from './device.js';
import type { Layer } from './layer.js';

/** The error of a synchronous call that would have had to wait: it names the file that is the reason, or the other requests. */
export function notSynchronous(top: Layer): Qcow2Error {
  return readsWait(top) ?? othersAtWork();
}

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
  const details = { what: 'image', depth: 0 };
  return new Qcow2Error('not-synchronous', 'Another request is at work: wait for it first.', details);
}

/** The error of a synchronous call for which a file makes its caller wait. */
export function waits(what: string, depth: number): Qcow2Error {
  const message = `The ${what} at depth ${depth} is read or written with promises, so no call can be done at once.`;
  return new Qcow2Error('not-synchronous', message, { what, depth });
}

/** An empty batch changes nothing, and tells. */
function promises(source: ByteSource): boolean {
  const done = source.read([]);
  done?.catch(() => {});
  return done !== undefined;
}
