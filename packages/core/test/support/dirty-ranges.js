/**
 * Asks QEMU which ranges a persistent bitmap marks. JavaScript, since the scripts that make the golden images import it
 * without a build.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * @typedef {object} Range
 * @property {number} start
 * @property {number} length
 */

/**
 * The ranges that QEMU finds dirty in a bitmap, as few as possible, in order: qemu-nbd serves the bitmap as a context,
 * and qemu-img maps it.
 *
 * @param {(tool: string, args: readonly string[]) => string} run runs a tool in the image's folder; returns its output
 * @param {string} image
 * @param {string} bitmap
 * @returns {Range[]}
 */
export function dirtyRanges(run, image, bitmap) {
  // A socket's path must be absolute, and short.
  const folder = mkdtempSync(join(tmpdir(), 'qcow2-nbd-'));
  const socket = join(folder, 's');
  try {
    // It ends when its one client has left.
    run('qemu-nbd', ['--fork', '-r', '-f', 'qcow2', '-B', bitmap, '-k', socket, image]);
    const server = `driver=nbd,server.type=unix,server.path=${socket},x-dirty-bitmap=qemu:dirty-bitmap:${bitmap}`;
    /** @type {(Range & { data: boolean })[]} */
    const extents = JSON.parse(run('qemu-img', ['map', '--output=json', '--image-opts', server]));
    // That is how it shows them: dirty is what has no data.
    return mergedRanges(extents.filter(({ data }) => !data));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Ranges as few as possible, in order.
 *
 * @param {readonly Range[]} ranges
 * @returns {Range[]}
 */
export function mergedRanges(ranges) {
  /** @type {Range[]} */
  const merged = [];
  for (const { start, length } of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.start + last.length === start) last.length += length;
    else merged.push({ start, length });
  }
  return merged;
}
