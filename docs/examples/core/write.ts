/** Creating and changing an image in Node: an example of the README of `qcow2`, run by a test. */
// #region example
import { Qcow2Image } from 'qcow2';
import { fileDevice } from 'qcow2/node';

/** Creates a disk of 10 GiB in a new file, which stays small: clusters are allocated when they are written. */
export async function createDisk(path: string, bootSector: Uint8Array): Promise<void> {
  const device = fileDevice(path, { create: true });
  const image = await Qcow2Image.create(device, { size: 10 * 2 ** 30, lazyRefcounts: true });
  await image.write(0, bootSector);
  await image.flush(); // what was written before survives a power cut
  await image.writeZeroes(2 ** 20, 2 ** 20); // zero clusters in the tables, no data
  await image.discard(2 ** 22, 2 ** 20); // frees the clusters
  await image.close(); // flushes too; rejects when something that was written is lost
  device.close?.();
}

/** Opens the same file again. An image is read-only unless `mode` says otherwise. */
export async function changeDisk(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const device = fileDevice(path);
  const image = await Qcow2Image.open(device, { mode: 'readwrite' });
  await image.write(offset, bytes);
  await image.close();
  device.close?.();
}
// #endregion
