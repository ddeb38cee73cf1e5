/**
 * Owns a signal that aborts when one of several others does. `AbortSignal.any` is younger than the oldest browsers we
 * serve.
 */
import { onAbort } from './on-abort.js';

/** An abort of one's own that follows others. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  /** Aborts this signal alone. The first reason stays. */
  abort(reason: unknown): void;
  /** Stops following the others, which may live much longer. */
  release(): void;
}

/** A signal that takes over the reason, untouched, of the first of `others` that aborts. */
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
