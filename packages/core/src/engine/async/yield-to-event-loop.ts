/** Owns how long cold work that always finds something to do keeps timers and messages waiting. */

/** Milliseconds. */
const LONGEST = 20;

/**
 * A function to be awaited now and then by a loop whose waits may all be over at once, since tables that are in memory
 * make nobody wait: without it no timer and no message, and so no abort, would get its turn until the loop ends. A
 * hostile image can name one table a million times.
 */
export function turns(): () => Promise<void> {
  const turn = turnsWhenDue();
  return async () => turn();
}

/** As {@link turns}, but there is something to wait for only when it is time. */
export function turnsWhenDue(): () => Promise<void> | undefined {
  let since = Date.now();
  return () => {
    if (Date.now() - since < LONGEST) return;
    return nextTask().then(() => {
      since = Date.now();
    });
  };
}

/** A timer would wait for four milliseconds, and for a second on a page that nobody looks at. */
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
