/** Yields to the event loop every few milliseconds, so that long CPU-bound work does not starve timers and messages. */

/** Milliseconds. */
const MAX_BLOCKING_MS = 20;

/**
 * Returns a function that a loop awaits now and then. The loop's other promises may all be fulfilled already, since
 * cached tables need no I/O. Without this no timer and no message, and so no abort, would be processed until the loop
 * ends. A hostile image can refer to one table a million times.
 */
export function yieldToEventLoop(): () => Promise<void> {
  const yieldIfDue = yieldWhenDue();
  return async () => yieldIfDue();
}

/** As {@link yieldToEventLoop}, but the function returns a promise only when it is time to yield. */
export function yieldWhenDue(): () => Promise<void> | undefined {
  let since = Date.now();
  return () => {
    if (Date.now() - since < MAX_BLOCKING_MS) return;
    return nextTask().then(() => {
      since = Date.now();
    });
  };
}

/** A message, since a timer would wait for four milliseconds, and for a second in a background tab. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
