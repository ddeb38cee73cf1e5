/** A new image in OPFS: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import type { Store } from 'qcow2-opfs';

/** Creates an image in OPFS, or opens the one that is there, and writes to it. */
export async function appendLog(store: Store, name: string, offset: number, line: string): Promise<void> {
  const image = (await store.has(name))
    ? await store.open(name, { mode: 'readwrite' }) // this tab has it alone until `close`
    : await store.create(name, { size: 2 ** 30 });
  await image.write(offset, new TextEncoder().encode(line));
  await image.flush(); // what was written before survives a power cut
  await image.close();
}
// #endregion
