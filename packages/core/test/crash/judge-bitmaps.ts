/** Owns what is demanded of the bitmaps that a crash left: one that may be trusted marks everything that changed. */
import type { Qcow2Image, Range } from '../../src/index.js';

/** The unit in which changes are looked for, bytes: no granularity is finer. */
const SECTOR = 512;

/**
 * What is wrong with the bitmaps of an image whose disk reads as `bytes` from `offset` on, and was `before`; null when
 * nothing is. A bitmap that is in use, or that does not follow the guest's writes, promises nothing.
 */
export async function judgeBitmaps(
  image: Qcow2Image,
  offset: number,
  bytes: Uint8Array,
  before: Uint8Array,
): Promise<string | null> {
  const followed = image.bitmaps.filter(({ flags }) => flags.includes('auto') && !flags.includes('in-use'));
  for (const { name } of followed) {
    const marked: Range[] = [];
    for await (const range of image.dirtyRanges(name)) marked.push(range);
    for (let at = 0; at < bytes.length; at += SECTOR) {
      if (Buffer.compare(bytes.subarray(at, at + SECTOR), before.subarray(at, at + SECTOR)) === 0) continue;
      const guest = offset + at;
      if (marked.some(({ start, length }) => guest >= start && guest < start + length)) continue;
      return `guest byte ${guest} has changed, and bitmap "${name}" does not mark it though it is to be trusted`;
    }
  }
  return null;
}
