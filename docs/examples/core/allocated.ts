/** The allocated parts of a disk: an example of the README of `qcow2`, run by a test. */
// #region example
import type { Qcow2Image } from 'qcow2';

/** Calls `use` with each allocated part of the disk, at most 1 MiB at a time. Holes are not read. */
export async function eachStoredPart(image: Qcow2Image, use: (offset: number, bytes: Uint8Array) => void) {
  for await (const { start, length, data } of image.map()) {
    if (!data) continue;
    for (let done = 0; done < length; done += 2 ** 20) {
      use(start + done, await image.read(start + done, Math.min(2 ** 20, length - done)));
    }
  }
}
// #endregion
