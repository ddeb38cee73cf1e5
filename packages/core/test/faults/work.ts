/**
 * Owns the work during which devices fail, on a disk of 3 MiB, and what such a disk holds before and after each step of
 * it.
 */
import type { Qcow2Image } from '../../src/index.js';
import { noiseOf } from '../support/numbers.js';

const KIB = 1024;

/** A change of the disk, and the same on an array. */
interface Change {
  readonly make: (image: Qcow2Image) => Promise<void>;
  readonly apply: (disk: Uint8Array) => void;
}

const write = (offset: number, length: number, seed: number): Change => ({
  make: (image) => image.write(offset, noiseOf(seed, length)),
  apply: (disk) => disk.set(noiseOf(seed, length), offset),
});
const zero = (offset: number, length: number, how: 'discard' | 'unmap' | 'keep'): Change => ({
  make: (image) =>
    how === 'discard' ? image.discard(offset, length) : image.writeZeroes(offset, length, { unmap: how === 'unmap' }),
  apply: (disk) => disk.fill(0, offset, offset + length),
});
const flush: Change = { make: (image) => image.flush(), apply: () => {} };

/** Rounds of work: fresh clusters, old ones, shared ones, zeros, discards, and a flush now and then. */
const WORK: readonly Change[] = [
  write(1000, 5000, 1),
  write(700 * KIB, 300 * KIB, 2),
  flush,
  zero(100 * KIB + 100, 90 * KIB, 'discard'),
  write(120 * KIB, 10_000, 3),
  zero(300 * KIB, 20 * KIB, 'keep'),
  write(2200 * KIB, 700 * KIB, 4),
  flush,
  zero(0, 50 * KIB, 'unmap'),
  write(20 * KIB, 4096, 5),
  flush,
];

/** What a disk holds before the work, and after every change of it. */
export function disksOf(disk: Uint8Array): readonly Uint8Array[] {
  const disks = [disk];
  for (const change of WORK) {
    const after = disks.at(-1)!.slice();
    change.apply(after);
    disks.push(after);
  }
  return disks;
}

/**
 * Does the work until something fails; answers the error, and what of `disks` the disk may hold then: first what it
 * held when last flushed.
 */
export async function work(
  image: Qcow2Image,
  disks: readonly Uint8Array[],
): Promise<{ error: unknown; allowed: readonly Uint8Array[] }> {
  let flushed = 0;
  for (const [index, change] of WORK.entries()) {
    try {
      await change.make(image);
    } catch (error) {
      return { error, allowed: disks.slice(flushed, index + 2) };
    }
    if (change === flush) flushed = index + 1;
  }
  return { error: null, allowed: disks.slice(flushed) };
}
