/** Where the bytes of an image are: an example of the README of `qcow2`, run by a test. */
// #region example
import { Qcow2Image } from 'qcow2';

/** What of a file could be had back: the first three without loss, each snapshot by deleting it. Bytes. */
export async function reclaimable(file: Blob) {
  const image = await Qcow2Image.open(file);
  const { free, leaks, snapshots } = await image.usage();
  let zeros = 0; // stored, though a hole would read the same
  for await (const { length, data, zero } of image.map(undefined, { detectZeroes: true })) {
    if (data && zero) zeros += length;
  }
  await image.close();
  return { free, leaks, zeros, snapshots: snapshots.map(({ name, exclusive }) => ({ name, exclusive })) };
}
// #endregion
