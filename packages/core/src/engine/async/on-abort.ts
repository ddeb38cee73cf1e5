/** Shares one abort listener among all requests with the same signal: Node warns from the eleventh listener on. */

const listening = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `act` once when the signal aborts; not when it is aborted already. Returns a function that removes it. */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  let acts = listening.get(signal);
  if (acts === undefined) {
    const added = new Set<() => void>();
    acts = added;
    signal.addEventListener('abort', () => {
      for (const each of added) each();
    });
    // Last: a value that is no signal has thrown above, and must throw at the next call, too.
    listening.set(signal, acts);
  }
  acts.add(act);
  return () => acts.delete(act);
}
