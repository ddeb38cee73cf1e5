/** Ends what waits for the files behind an image that is being closed. Nothing that closing writes needs them. */
import type { Done } from './device.js';
import { isBase, type Layer, type Qcow2Layer } from './layer.js';

/** How long changes that were started before may go on reading from the files behind. Milliseconds. */
const CHANGES_TIMEOUT_MS = 1000;

/**
 * Waits for the end of `closing`. Requests that still wait for a file behind the image must not hold it up, since a web server may say
 * nothing for minutes: reads end at once and changes after a second, with the error `closed` of the file that they wait for.
 */
export function endBases(layer: Qcow2Layer, changing: boolean, closing: Done): Done {
  if (closing === undefined || isBase(layer)) return closing;
  const timer = setTimeout(() => closeBases(layer), changing ? CHANGES_TIMEOUT_MS : 0);
  return closing.finally(() => clearTimeout(timer));
}

/** They are closed again with the image; a second call does nothing. */
function closeBases(top: Qcow2Layer): void {
  for (let base: Layer | undefined = top.backing?.layer; base !== undefined; ) {
    const sources = base.kind === 'qcow2' ? [base.source, base.data] : [base.source];
    // What goes wrong is thrown when the image closes them.
    for (const source of new Set(sources)) Promise.resolve(source?.close?.()).catch(() => {});
    base = base.kind === 'qcow2' ? base.backing?.layer : undefined;
  }
}
