/** Owns what qemu-img does in the same time: the peer in every comparison. */
import { COMPRESSED_SIZE, qemu, SIZE } from './images.js';
import { seconds, stepOf } from './measure.js';

/** Virtual sizes by image. */
export const SIZES = { plain: SIZE, fragmented: SIZE, overlay: SIZE, compressed: COMPRESSED_SIZE };

/** @typedef {keyof typeof SIZES} Name */

/**
 * `qemu-img convert` of a whole image to a target that takes no time, less what it takes for an image without data: we do
 * not start a process, and so we do not count its start.
 *
 * @param {Name} name
 */
export function convert(name) {
  /** @param {string} image */
  const run = (image) => {
    const target = `driver=null-co,size=${SIZE}`;
    return seconds(() => qemu('qemu-img', ['convert', '-n', '-f', 'qcow2', image, '--target-image-opts', target]));
  };
  return async () => (await run(`${name}.qcow2`)) - (await run('empty.qcow2'));
}

/**
 * `qemu-img bench` with its default of 64 requests at once, which is when it is fastest; it says itself how long it took.
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
