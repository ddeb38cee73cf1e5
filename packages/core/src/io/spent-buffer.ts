/** Owns the end of buffers that nobody needs any more: their memory is given back at once, and not when it is collected. */

let outlet: MessagePort | null = null;

/**
 * Gives back the memory of `bytes`, whose buffer nobody else looks into: it is empty from now on. Browsers collect large
 * buffers late, Chromium only when some 64 MiB of them have gathered. A buffer that is sent away is no longer this program's,
 * and what is sent to a port whose other end is closed is dropped on the spot. Where that does nothing, the buffer is
 * collected in its time.
 */
export function discardBuffer(bytes: Uint8Array<ArrayBuffer>): void {
  // What is gone already cannot be sent.
  if (bytes.buffer.byteLength === 0) return;
  if (outlet === null) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    outlet = port1;
  }
  outlet.postMessage(null, [bytes.buffer]);
}
