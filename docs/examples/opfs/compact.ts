/** Making a stored image shorter: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import type { Store } from 'qcow2-opfs';

/** Makes a stored image as short as it can be. Returns how many bytes of the quota became free. */
export async function freeQuota(store: Store, name: string, signal: AbortSignal): Promise<number> {
  const image = await store.open(name, { mode: 'readwrite' });
  try {
    await image.sparsify({ signal }); // clusters that contain only zeros become free
    const { oldSize, newSize } = await image.compact({ signal });
    return oldSize - newSize;
  } finally {
    await image.close();
  }
}
// #endregion
