/**
 * The benchmark cases in Node of what changes the size of a disk or of its file: compaction, compared with a bare copy;
 * and growing a disk.
 */
import { closeSync, fsyncSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER } from './images.js';
import { seconds, takeTurns } from './measure.js';
import { compactTurn, copyTurn, makeHalfDiscarded } from './space.js';
import { compactionResults } from './space-results.js';

/** @typedef {import('./report.js').Result} Result */

const TiB = 2 ** 40;
const WHERE = 'Node, file, space';

/**
 * @param {string} file
 * @param {import('./space.js').SpaceWork} how
 */
async function spaceTurn(file, how) {
  const { Qcow2Image } = await import('../dist/src/index.js');
  const { fileDevice } = await import('../dist/node/index.js');
  rmSync(file, { force: true });
  const device = fileDevice(file, { create: true });
  const image = await makeHalfDiscarded(Qcow2Image, device);
  const turn = how === 'copy' ? null : await compactTurn(image, how === 'compact and read');
  await image.close();
  device.close?.();
  return turn ?? copied(file);
}

/** @param {string} file */
function copied(file) {
  const fd = openSync(file, 'r+');
  try {
    return copyTurn({
      read: (bytes, at) => readSync(fd, bytes, 0, bytes.length, at),
      write: (bytes, at) => writeSync(fd, bytes, 0, bytes.length, at),
      truncate: (size) => ftruncateSync(fd, size),
      flush: () => fsyncSync(fd),
    });
  } finally {
    closeSync(fd);
  }
}

/**
 * @param {string} file
 * @param {number} from
 * @param {number} to
 */
async function grown(file, from, to) {
  const { Qcow2Image } = await import('../dist/src/index.js');
  const { fileDevice } = await import('../dist/node/index.js');
  rmSync(file, { force: true });
  const device = fileDevice(file, { create: true });
  const image = await Qcow2Image.create(device, { size: from });
  await image.write(from - CLUSTER, new Uint8Array(CLUSTER).fill(7));
  await image.flush();
  const took = await seconds(() => image.resize(to));
  await image.close();
  device.close?.();
  return took;
}

/**
 * Measures all of it.
 *
 * @param {string} folder of the images
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function nodeSpaceCases(folder, rounds) {
  const work = mkdtempSync(join(folder, 'space-'));
  const file = join(work, 'ours.qcow2');
  try {
    const compactions = await compactionResults(WHERE, (how) => spaceTurn(file, how), rounds);
    const grows = await takeTurns(
      { near: () => grown(file, TiB, 2 * TiB), far: () => grown(file, 3 * TiB, 5 * TiB) },
      rounds,
    );
    const one = { where: WHERE, bytes: 0, reads: 1, calls: 1 };
    return [
      ...compactions,
      { ...one, name: 'grow 1 TiB to 2 TiB', ours: grows.near },
      { ...one, name: 'grow 3 TiB to 5 TiB', ours: grows.far },
    ];
  } finally {
    rmSync(work, { recursive: true });
  }
}
