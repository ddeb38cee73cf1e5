/** The facts of an image: an example of the README of `qcow2`, run by a test. */
// #region example
import { Qcow2Image } from 'qcow2';

/** Opens a file in place, however large it is. Reads its header and its tables, and none of its data. */
export async function describeImage(file: Blob): Promise<string> {
  const image = await Qcow2Image.open(file);
  const { clusterSize, compressionType, backingFile = 'none', snapshots } = image.info;
  await image.close();
  const disk = `${image.size} bytes, clusters of ${clusterSize}, ${compressionType}`;
  return `${disk}, backing file: ${backingFile}, ${snapshots.length} snapshots`;
}
// #endregion
