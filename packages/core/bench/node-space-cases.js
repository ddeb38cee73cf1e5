/**
 * The benchmark cases in Node of what changes the size of a disk or of its file: compaction, compared with a bare copy
 * in the same batches with as many flushes; reads beside it; and growing a disk.
 */
import { closeSync, fsyncSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER } from './images.js';
import { seconds, takeTurns } from './measure.js';

/** @typedef {import('./report.js').Result} Result */

const MiB = 1024 * 1024;
const TiB = MiB * MiB;
const WHERE = 'Node, file, space';
const SIZE = 1024 * MiB;
/** What a slice of a compaction copies, and the flushes of a slice. */
const BATCH = 4 * MiB;
const FLUSHES = 2;
const READ = 4096;

/** @param {number} share from 0 to 1 @param {number[]} times */
const quantile = (share, times) => times.sort((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? 0;

/**
 * Makes an image of 1 GiB and discards every other cluster.
 *
 * @param {string} file
 */
async function halfDiscarded(file) {
  const { Qcow2Image } = await import('../dist/src/index.js');
  const { fileDevice } = await import('../dist/node/index.js');
  rmSync(file, { force: true });
  const device = fileDevice(file, { create: true });
  const image = await Qcow2Image.create(device, { size: SIZE });
  const bytes = new Uint8Array(BATCH).fill(7);
  for (let at = 0; at < SIZE; at += BATCH) await image.write(at, bytes);
  await image.flush();
  for (let at = 0; at < SIZE; at += 2 * CLUSTER) await image.discard(at, CLUSTER);
  await image.flush();
  return { image, device };
}

/**
 * Compacts; with `reading`, 4 KiB are read meanwhile, again and again.
 *
 * @param {string} file
 * @param {number[] | null} reading
 */
async function compacted(file, reading) {
  const { image, device } = await halfDiscarded(file);
  let running = true;
  const compacting = seconds(() => image.compact()).finally(() => {
    running = false;
  });
  for (let at = CLUSTER; reading !== null && running; at = (at + 2 * CLUSTER) % SIZE) {
    reading.push(await seconds(() => image.read(at, READ)));
    await new Promise(setImmediate);
  }
  const took = await compacting;
  await image.close();
  device.close?.();
  return took;
}

/**
 * The same clusters, copied to the front in the same batches, with as many flushes; then the end is cut.
 *
 * @param {string} file
 */
async function copied(file) {
  const { image, device } = await halfDiscarded(file);
  await image.close();
  device.close?.();
  const fd = openSync(file, 'r+');
  const bytes = new Uint8Array(CLUSTER);
  try {
    return await seconds(() => {
      for (let done = 0; done < SIZE / 4; done += CLUSTER) {
        readSync(fd, bytes, 0, CLUSTER, SIZE - 2 * done);
        writeSync(fd, bytes, 0, CLUSTER, 2 * done + CLUSTER);
        if ((done + CLUSTER) % BATCH === 0) for (let flush = 0; flush < FLUSHES; flush++) fsyncSync(fd);
      }
      ftruncateSync(fd, SIZE / 2);
      fsyncSync(fd);
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
  /** @type {number[]} */
  const beside = [];
  /** @type {number[]} */
  const alone = [];
  try {
    const { ours, raw } = await takeTurns({ ours: () => compacted(file, null), raw: () => copied(file) }, rounds);
    await compacted(file, beside);
    const { image, device } = await halfDiscarded(file);
    for (let at = CLUSTER; at < SIZE; at += 2 * CLUSTER) alone.push(await seconds(() => image.read(at, READ)));
    await image.close();
    device.close?.();
    const grows = await takeTurns(
      { near: () => grown(file, TiB, 2 * TiB), far: () => grown(file, 3 * TiB, 5 * TiB) },
      rounds,
    );
    const one = { bytes: 0, reads: 1, calls: 1 };
    return [
      {
        where: WHERE,
        name: 'compact 1 GiB, half discarded',
        ours,
        bytes: SIZE / 4,
        reads: 64,
        calls: 64,
        raw: { seconds: raw },
      },
      {
        where: WHERE,
        name: '99th percentile of 4 KiB reads beside it',
        ours: [quantile(0.99, beside)],
        ...one,
        raw: { seconds: [quantile(0.99, alone)] },
      },
      { where: WHERE, name: 'grow 1 TiB to 2 TiB', ours: grows.near, ...one },
      { where: WHERE, name: 'grow 3 TiB to 5 TiB', ours: grows.far, ...one },
    ];
  } finally {
    rmSync(work, { recursive: true });
  }
}
