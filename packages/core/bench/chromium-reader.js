/** Runs in a worker beside the store's: reads a file as a stream, and answers the seconds it took. */

/** @param {File} file */
async function readAll(file) {
  const started = performance.now();
  // Not a reader with buffers of its own: on the stream of a Blob it stalls now and then (docs/decisions/0004).
  const reader = file.stream().getReader();
  while (!(await reader.read()).done);
  return (performance.now() - started) / 1000;
}

addEventListener('message', async (/** @type {MessageEvent<File>} */ { data }) => {
  postMessage(await readAll(data));
});
