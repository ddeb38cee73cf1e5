/** Changing the size of a disk: an example of the README of `qcow2`, run by a test. */
// #region example
import { type BlockDevice, Qcow2Image } from 'qcow2';

/** Gives a disk another size. Added bytes are zeros. Without `shrink` a smaller size is refused. */
export async function resizeDisk(device: BlockDevice, size: number, options?: { shrink: boolean }): Promise<void> {
  const image = await Qcow2Image.open(device, { mode: 'readwrite' });
  try {
    await image.resize(size, options); // the new size is on the medium
  } finally {
    await image.close();
  }
}
// #endregion
