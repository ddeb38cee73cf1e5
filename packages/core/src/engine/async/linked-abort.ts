/**
 * Makes a signal that aborts when one of several others does. `AbortSignal.any` is younger than the oldest supported
 * browsers.
 */
import { onAbort } from './on-abort.js';

/** An abort controller that follows other signals. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  /** Aborts this signal alone. If it is aborted already, its reason stays. */
  abort(reason: unknown): void;
  /** Stops following the other signals, which may live much longer. */
  release(): void;
}

/** A signal that aborts with the first of `others`, and with the same reason. */
export function linkedAbort(...others: readonly (AbortSignal | undefined)[]): LinkedAbort {
  const controller = new AbortController();
  const { signal } = controller;
  const links: (() => void)[] = [];
  for (const other of others) {
    if (other === undefined) continue;
    const follow = () => controller.abort(other.reason);
    if (other.aborted) follow();
    links.push(onAbort(other, follow));
  }
  return {
    signal,
    abort: (reason) => controller.abort(reason),
    release() {
      for (const unlink of links) unlink();
    },
  };
}
