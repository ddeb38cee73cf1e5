/** Owns what qemu-img does in the same time: the peer in every comparison. */
import { COMPRESSED_SIZE, HALF_SIZE, qemu, SIZE } from './images.js';
import { seconds, stepOf } from './measure.js';

/** Virtual sizes by image. */
export const SIZES = { plain: SIZE, half: HALF_SIZE, fragmented: SIZE, overlay: SIZE, compressed: COMPRESSED_SIZE };

/** @typedef {keyof typeof SIZES} Name */

/**
 * Seconds of `qemu-img convert` of a whole image to a target that takes no time.
 *
 * @param {string} image
 */
function convertAll(image) {
  const target = `driver=null-co,size=${HALF_SIZE}`;
  return seconds(() => qemu('qemu-img', ['convert', '-n', '-f', 'qcow2', image, '--target-image-opts', target]));
}

/**
 * `qemu-img convert` of a whole image, less the least time that it takes for an image without data: we start no
 * process, and so its start is not counted.
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
 * `qemu-img bench` with its default of 64 requests at once, which is when it is fastest; it says itself how long it
 * took.
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
    if (!said) throw new Error('qemu-img bench did not say how long it took');
    return Number(said[1]);
  };
}
