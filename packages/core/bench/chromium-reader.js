/** A worker that reads a file as a stream and posts the seconds it took. */

/** @param {File} file */
async function readAll(file) {
  const started = performance.now();
  // Not a BYOB reader: on a Blob's stream it sometimes stalls (docs/decisions/0004).
  const reader = file.stream().getReader();
  while (!(await reader.read()).done);
  return (performance.now() - started) / 1000;
}

addEventListener('message', async (/** @type {MessageEvent<File>} */ { data }) => {
  postMessage(await readAll(data));
});
