/** An overlay over an image on a web server: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import { openStore } from 'qcow2-opfs';

/** Boots from `url` at once, and keeps only what the machine changes: under `name`, in this browser. */
export async function personalDisk(name: string, url: string, size: number) {
  const store = await openStore();
  const resolve = async () => ({ url }); // the worker fetches what is read, in ranges
  const disk = (await store.has(name))
    ? await store.open(name, { mode: 'readwrite', resolve }) // this tab's alone until it is closed
    : await store.create(name, { size, backingFile: url, backingFormat: 'qcow2', resolve });
  return { store, disk };
}

export async function save(name: string, url: string, changes: ReadableStream<Uint8Array>): Promise<void> {
  const { store, disk } = await personalDisk(name, url, 2 ** 30);
  await disk.write(0, new Uint8Array([0xeb, 0x63])); // copied; with { transfer: true } the buffer is transferred
  await changes.pipeTo(disk.writable({ start: 4096 })); // whole clusters, with backpressure
  await disk.discard(2 ** 20, 65536);
  await disk.flush(); // now it survives a power cut
  await store.close();
}
// #endregion
