/**
 * Judges the bitmaps that a crash left: a valid one marks everything that changed, and one that does not follow the
 * guest's writes marks what it did.
 */
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

/** What the bitmaps of an image mark that do not follow the guest's writes. */
export type Marks = ReadonlyMap<string, readonly Range[]>;

/** The marks of an image. A bitmap that is in use marks nothing that counts. */
export async function marksOf(image: Qcow2Image): Promise<Marks> {
  const marks = new Map<string, Range[]>();
  for (const { name, flags } of image.bitmaps) {
    if (flags.includes('auto') || flags.includes('in-use')) continue;
    const marked: Range[] = [];
    for await (const range of image.dirtyRanges(name)) marked.push(range);
    marks.set(name, marked);
  }
  return marks;
}

/**
 * What is wrong with the bitmaps of an image that do not follow the guest's writes and are not in use; null when
 * nothing is. They mark what they did at first, up to `least`, the smallest size that the disk has had.
 */
export async function judgeMarks(image: Qcow2Image, before: Marks, least: number): Promise<string | null> {
  for (const [name, marked] of await marksOf(image)) {
    const { granularity } = image.bitmaps.find((bitmap) => bitmap.name === name)!;
    const end = Math.min(image.size, Math.ceil(least / granularity) * granularity);
    const expected = (before.get(name) ?? [])
      .filter(({ start }) => start < end)
      .map(({ start, length }) => ({ start, length: Math.min(length, end - start) }));
    if (JSON.stringify(marked) === JSON.stringify(expected)) continue;
    return `bitmap "${name}" marks ${JSON.stringify(marked)}, not ${JSON.stringify(expected)}`;
  }
  return null;
}
