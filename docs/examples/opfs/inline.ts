/** The entry with the worker as text: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import { openStore } from 'qcow2-opfs/inline';

/** The virtual size of an image, with the entry that every bundler takes. */
export async function virtualSize(file: File): Promise<number> {
  const store = await openStore();
  const { size } = await store.openFile(file);
  await store.close();
  return size;
}
// #endregion
