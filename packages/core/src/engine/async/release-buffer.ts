/** Frees the memory of buffers that are no longer used at once, without waiting for garbage collection. */

/** Bytes that are gathered and freed with one message: a message for each chunk made an import about 5 % slower. */
const BATCH = 2 * 1024 * 1024;

const released = new Set<ArrayBuffer>();
let releasedBytes = 0;
let port: MessagePort | null = null;

/**
 * Frees the memory of `bytes`, now or soon. Its buffer must not be used any more: it becomes detached. Browsers collect
 * large buffers late, Chromium only when some 64 MiB of them have gathered. A transferred buffer leaves this agent's
 * heap, and a message to a port whose other end is closed is dropped at once. Where that has no effect, the buffer is
 * garbage-collected as usual.
 */
export function releaseBuffer({ buffer }: Uint8Array<ArrayBuffer>): void {
  // Two views of one buffer would be counted, and transferred, twice.
  if (buffer.byteLength === 0 || released.has(buffer)) return;
  released.add(buffer);
  releasedBytes += buffer.byteLength;
  if (releasedBytes < BATCH) return;
  if (port === null) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    port = port1;
  }
  // A buffer that was detached since cannot be transferred.
  const attached = [...released].filter(({ byteLength }) => byteLength > 0);
  released.clear();
  releasedBytes = 0;
  port.postMessage(null, attached);
}
