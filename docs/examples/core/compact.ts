/** Making an image file shorter: an example of the README of `qcow2`, run by a test. */
// #region example
import { type BlockDevice, type Progress, Qcow2Image } from 'qcow2';

/** Makes an image file as short as it can be, and returns by how many bytes. The image can be used meanwhile. */
export async function shortenFile(image: Qcow2Image, onProgress: (progress: Progress) => void): Promise<number> {
  await image.sparsify({ onProgress }); // clusters that contain only zeros become free
  const { oldSize, newSize } = await image.compact({ onProgress }); // what lies at the end moves into free clusters
  return oldSize - newSize;
}

/** Opens an image that compacts itself while it is idle, each time after 256 MiB have become free. */
export function openKeptShort(device: BlockDevice): Promise<Qcow2Image> {
  const autoCompact = { afterDiscarded: 256 * 2 ** 20, keepFree: 64 * 2 ** 20 };
  return Qcow2Image.open(device, { mode: 'readwrite', autoCompact });
}
// #endregion
