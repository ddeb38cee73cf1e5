/**
 * Owns the end of buffers that nobody needs any more: their memory is given back soon, and not when it is collected.
 */

/**
 * How much is gathered to be given back at once: one message for each chunk cost an import about a twentieth. Bytes.
 */
const BATCH = 2 * 1024 * 1024;

const spent = new Set<ArrayBuffer>();
let gathered = 0;
let outlet: MessagePort | null = null;

/**
 * Gives back the memory of `bytes`, whose buffer nobody looks into any more: it is empty now or soon. Browsers collect
 * large buffers late, Chromium only when some 64 MiB of them have gathered. A buffer that is sent away is no longer
 * this program's, and what is sent to a port whose other end is closed is dropped on the spot. Where that does nothing,
 * the buffer is collected in its time.
 */
export function releaseBuffer({ buffer }: Uint8Array<ArrayBuffer>): void {
  // Two views of one buffer would be counted, and sent, twice.
  if (buffer.byteLength === 0 || spent.has(buffer)) return;
  spent.add(buffer);
  gathered += buffer.byteLength;
  if (gathered < BATCH) return;
  if (outlet === null) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    outlet = port1;
  }
  // What somebody else has sent away since cannot be sent.
  const there = [...spent].filter(({ byteLength }) => byteLength > 0);
  spent.clear();
  gathered = 0;
  outlet.postMessage(null, there);
}
