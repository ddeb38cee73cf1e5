/**
 * The cases of checking in Chromium: the engine over a File on disk, compared with `qemu-img check` of the same file.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withPage } from './chromium.js';
import { makeAllocated, qemu } from './images.js';
import { seconds, takeTurns } from './measure.js';

/** @typedef {import('./report.js').Result} Result */
/** @typedef {import('playwright').Page} Page */

const GiB = 2 ** 30;
/** Virtual sizes. */
const SIZES = [10 * GiB, 100 * GiB, 1024 * GiB];

/**
 * Compares the check of one image.
 *
 * @param {Page} page
 * @param {string} work the folder of the image
 * @param {string} name
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function besideQemu(page, work, name, rounds) {
  /** @type {() => Promise<import('../src/index.js').ImageStats>} */
  const stats = () => page.evaluate(`bench.statsOf('${name}')`);
  /** @type {() => Promise<number>} */
  const ours = () => page.evaluate(`bench.checkTurn('${name}')`);
  const before = await stats();
  await ours();
  const after = await stats();
  const peer = () => seconds(() => qemu('qemu-img', ['check', '-q', name], '', work));
  const times = await takeTurns({ ours, peer }, rounds);
  return {
    ...{ where: 'Chromium, File, checks', name: name.replace('.qcow2', ' GiB'), ours: times.ours, reads: 1 },
    bytes: after.deviceBytes - before.deviceBytes,
    calls: after.deviceReads - before.deviceReads,
    transfers: after.deviceTransfers - before.deviceTransfers,
    peer: { seconds: times.peer, goal: 1 },
  };
}

/**
 * Runs all cases of checking in Chromium.
 *
 * @param {string} folder
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function chromiumCheckCases(folder, rounds) {
  const work = mkdtempSync(join(folder, 'checks-'));
  try {
    const names = SIZES.map((size) => makeAllocated(work, size));
    const files = names.map((name) => join(work, name));
    return await withPage(files, async (page) => {
      const results = [];
      for (const name of names) results.push(await besideQemu(page, work, name, rounds));
      return results;
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
