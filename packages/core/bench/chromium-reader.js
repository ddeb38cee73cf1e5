/** Runs in a worker beside the store's: reads a file as a stream, into buffers of its own, and answers the seconds it took. */

/** What one read takes at most: bytes. */
const CHUNK = 1024 * 1024;

/** @param {File} file */
async function readAll(file) {
  const started = performance.now();
  const reader = file.stream().getReader({ mode: 'byob' });
  let buffer = new ArrayBuffer(CHUNK);
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (done || !value) break;
    buffer = value.buffer;
  }
  return (performance.now() - started) / 1000;
}

addEventListener('message', async (/** @type {MessageEvent<File>} */ { data }) => {
  postMessage(await readAll(data));
});
