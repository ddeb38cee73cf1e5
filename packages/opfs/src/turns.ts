/** Owns how long work that always finds something to do lets the worker's messages wait. */

/** Milliseconds. */
const LONGEST = 10;

/**
 * A function to be awaited now and then by a loop whose waits may all be over at once: buffered streams and memory answer
 * before a message gets its turn, and an abort is a message.
 */
export function turns(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < LONGEST) return;
    await nextTask();
    since = performance.now();
  };
}

/** A timer would wait for four milliseconds. */
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
