/** Runs contenders in turns and measures them; provides the offsets of their reads and writes. */
import { spawnSync } from 'node:child_process';

/**
 * Runs a contender once and returns the seconds it took.
 *
 * @typedef {() => Promise<number> | number} Contender
 */

/**
 * Writes cached data to the disk (`sync`): otherwise a turn that flushes would also pay for what others wrote or
 * deleted. Does nothing where there is no such command.
 */
function settleDisk() {
  spawnSync('sync', { stdio: 'ignore' });
}

/**
 * Runs the contenders of one case in turns, so that other load on the machine affects all of them alike. The disk is
 * idle at the start of each turn. The first round is a warm-up and is not counted.
 *
 * @template {string} Name
 * @param {Record<Name, Contender>} contenders
 * @param {number} rounds
 * @returns {Promise<Record<Name, number[]>>} the seconds of each, by round
 */
export async function takeTurns(contenders, rounds) {
  const names = /** @type {Name[]} */ (Object.keys(contenders));
  const times = new Map(names.map((name) => [name, /** @type {number[]} */ ([])]));
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      settleDisk();
      const seconds = await contenders[name]();
      if (round > 0) times.get(name)?.push(seconds);
    }
  }
  return Object.fromEntries(times);
}

/**
 * Returns the seconds that `work` takes.
 *
 * @param {() => Promise<unknown> | unknown} work
 */
export async function seconds(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/**
 * Returns the offsets of `count` reads of `length` bytes: steps over the disk that wrap around, as in `qemu-img bench
 * -S`.
 *
 * @param {number} size
 * @param {number} length
 * @param {number} count
 */
export function stepped(size, length, count) {
  const step = stepOf(length);
  return Array.from({ length: count }, (_, i) => (i * step) % size);
}

/**
 * Distance of two consecutive reads, bytes: an odd multiple of their length, so that a disk of 2^n bytes is covered
 * completely.
 *
 * @param {number} length
 */
export function stepOf(length) {
  const apart = 7 * 1024 * 1024;
  return length * (2 * Math.floor(apart / length / 2) + 1);
}

/**
 * Returns the offsets that cover `size` bytes sequentially.
 *
 * @param {number} size
 * @param {number} length
 */
export function inOrder(size, length) {
  return Array.from({ length: size / length }, (_, i) => i * length);
}

/**
 * Returns the host offsets of guest ranges from the map of their image. Each range must be contiguous in the file.
 *
 * @param {readonly import('../src/index.js').Extent[]} extents
 * @param {readonly number[]} offsets
 * @param {number} length
 */
export function hostOffsets(extents, offsets, length) {
  return offsets.map((offset) => {
    const extent = extents.find(({ start, length: run }) => offset >= start && offset < start + run);
    if (extent?.offset === undefined || offset + length > extent.start + extent.length) {
      throw new Error(`guest bytes ${offset} to ${offset + length} are not one run of the file`);
    }
    return extent.offset + offset - extent.start;
  });
}
