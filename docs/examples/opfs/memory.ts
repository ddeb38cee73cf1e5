/** A page without storage: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import { openStore, type Store } from 'qcow2-opfs';

/** Opens a store also where the browser refuses OPFS, as private windows do: then images are in memory. */
export async function openAnyStore(warn: (text: string) => void): Promise<Store> {
  const store = await openStore({ fallback: 'memory' });
  if (store.persistence === 'memory') warn('Images are lost when this page is closed.');
  if (store.persistence === 'best-effort') warn('The browser may delete images when space runs out.');
  return store;
}
// #endregion
