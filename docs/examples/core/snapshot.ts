/** Snapshots and streams: an example of the README of `qcow2`, run by a test. */
// #region example
import type { Qcow2Image } from 'qcow2';

/** The disk of the newest snapshot as a byte stream, raw; without snapshots, the disk itself. */
export async function newestSnapshot(image: Qcow2Image): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const newest = image.snapshots.at(-1);
  const disk = newest ? await image.openSnapshot({ id: newest.id }) : image;
  return disk.readable();
}
// #endregion
