/** Creates an image, writes it, reads it back, lists it, reads another one from the server; shows what came of it. */

async function keepImage(openStore) {
  const store = await openStore({ directory: 'kept' });
  try {
    const disk = await store.create('disk', { size: 2 ** 20 });
    const written = crypto.getRandomValues(new Uint8Array(4096));
    await disk.write(8192, written);
    await disk.flush();
    const read = new Uint8Array(4096);
    await disk.read(8192, read);
    await disk.close();
    const names = (await store.list()).map(({ name }) => name);
    await store.remove('disk');
    if (location.search === '?import') await importLong(store);
    return { names, same: String(read) === String(written), fetched: await fetchImage(store) };
  } finally {
    await store.close();
  }
}

/** Imports a file that is long enough for a second worker to flush it. */
async function importLong(store) {
  const image = await (await fetch('./image.qcow2')).blob();
  await store.import('long', new Blob([image, new Uint8Array(40 * 2 ** 20)]));
  await store.remove('long');
}

/** The SHA-256 of an image on the server, all compressed, by its relative address. */
async function fetchImage(store) {
  const image = await store.openFile({ url: './image.qcow2' });
  const bytes = new Uint8Array(image.size);
  await image.read(0, bytes);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Shows the outcome, or the error as its code and message. */
export async function show(openStore) {
  const outcome = await keepImage(openStore).catch(({ code, message }) => ({ code, message }));
  document.querySelector('#outcome').textContent = JSON.stringify(outcome);
}
