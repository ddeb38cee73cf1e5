/**
 * Shares one listener of an abort signal among all requests that were given the signal: Node warns from the eleventh
 * on.
 */

const listening = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `act` once when the signal aborts; not when it is aborted already. The function that it returns takes that
 * back.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  let acts = listening.get(signal);
  if (acts === undefined) {
    const added = new Set<() => void>();
    acts = added;
    signal.addEventListener('abort', () => {
      for (const each of added) each();
    });
    // Last: something that is no signal has thrown above, and must throw again.
    listening.set(signal, acts);
  }
  acts.add(act);
  return () => acts.delete(act);
}
