/** Owns the way of measuring: contenders take turns in one run, and medians are compared. */
import { spawnSync } from 'node:child_process';

/**
 * A contender runs once and answers the seconds it took.
 *
 * @typedef {() => Promise<number> | number} Contender
 */

/**
 * Writes to the disk whatever still waits for it: a turn that flushes would else pay for what others wrote or deleted.
 * Where there is no such command, nothing happens.
 */
function settleDisk() {
  spawnSync('sync', { stdio: 'ignore' });
}

/**
 * Lets the contenders of one case take turns, so that what else the machine does hurts all alike, each with a disk that
 * has nothing to do. The first round warms up and is not counted.
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
 * Seconds that `work` takes.
 *
 * @param {() => Promise<unknown> | unknown} work
 */
export async function seconds(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/**
 * Offsets of `count` reads of `length` bytes: steps over the disk, around and around, as `qemu-img bench -S` takes
 * them.
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
 * How far apart two reads that follow one another lie: an odd multiple of their length, so that every place of a disk
 * of 2^n bytes has its turn.
 *
 * @param {number} length
 */
export function stepOf(length) {
  const apart = 7 * 1024 * 1024;
  return length * (2 * Math.floor(apart / length / 2) + 1);
}

/**
 * Offsets that cover `size` bytes in order.
 *
 * @param {number} size
 * @param {number} length
 */
export function inOrder(size, length) {
  return Array.from({ length: size / length }, (_, i) => i * length);
}

/**
 * Host offsets of guest ranges that lie in one piece in the file, by the map of their image.
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
