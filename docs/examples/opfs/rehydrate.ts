/** Storing a dehydrated image: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import { bufferDevice, rehydrate } from 'qcow2';
import type { Store } from 'qcow2-opfs';

/** Stores the image of which `file` has the metadata. */
export async function keepDehydrated(store: Store, name: string, file: Blob): Promise<void> {
  const device = bufferDevice();
  await rehydrate(file, device);
  await store.import(name, new Blob([device.bytes()])); // the whole image file, in memory
}
// #endregion
