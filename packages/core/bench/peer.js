/** Measures other programs: qemu-img, the peer in every comparison, and sha256sum. */
import { execFileSync } from 'node:child_process';
import { COMPRESSED_SIZE, HALF_SIZE, qemu, rawFile, SIZE } from './images.js';
import { seconds, stepOf } from './measure.js';

/** Virtual sizes by image. */
export const SIZES = { plain: SIZE, half: HALF_SIZE, fragmented: SIZE, overlay: SIZE, compressed: COMPRESSED_SIZE };

/** @typedef {keyof typeof SIZES} Name */

/**
 * Returns the seconds of `qemu-img convert` of a whole image to a null target.
 *
 * @param {string} image
 */
function convertAll(image) {
  const target = `driver=null-co,size=${HALF_SIZE}`;
  return seconds(() => qemu('qemu-img', ['convert', '-n', '-f', 'qcow2', image, '--target-image-opts', target]));
}

/**
 * Measures `qemu-img convert` of a whole image, minus its minimum time for an empty image: the engine starts no
 * process, so process startup is not counted.
 *
 * @param {Name} name
 * @returns {Promise<() => Promise<number>>}
 */
export async function convert(name) {
  let start = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10; i++) start = Math.min(start, await convertAll('empty.qcow2'));
  return async () => (await convertAll(`${name}.qcow2`)) - start;
}

/**
 * Runs `qemu-img bench` with its default of 64 concurrent requests, at which it is fastest. Returns the seconds that it
 * prints.
 *
 * @param {Name} name
 * @param {number} length
 * @param {number} count
 */
export function qemuBench(name, length, count) {
  const args = [
    'bench',
    '-f',
    'qcow2',
    '-c',
    count,
    '-s',
    length,
    '-S',
    stepOf(length),
    '-t',
    'writeback',
    `${name}.qcow2`,
  ];
  return () => {
    const said = /completed in ([\d.]+) seconds/.exec(qemu('qemu-img', args.map(String)));
    if (!said) throw new Error('qemu-img bench printed no time');
    return Number(said[1]);
  };
}

/**
 * Measures `sha256sum` of an image's raw disk, minus its minimum time for an empty file.
 *
 * @param {Name} name
 * @returns {Promise<() => Promise<number>>}
 */
export async function sha256sum(name) {
  const file = rawFile(name);
  /** @param {string} path */
  const sum = (path) => seconds(() => execFileSync('sha256sum', [path]));
  let start = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10; i++) start = Math.min(start, await sum('/dev/null'));
  return async () => (await sum(file)) - start;
}
