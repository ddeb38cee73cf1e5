/** An image that a person chose: an example of the README of `qcow2-opfs`, run by a test. */
// #region example
import { openStore } from 'qcow2-opfs';

/** Reads the first sector of a file that a person chose or dropped. The file is read in place, in the worker. */
export async function firstSector(file: File): Promise<Uint8Array> {
  const store = await openStore(); // one worker for all images of the page
  const image = await store.openFile(file);
  const sector = await image.read(0, 512);
  await store.close(); // closes its images, ends the worker
  return sector;
}
// #endregion
