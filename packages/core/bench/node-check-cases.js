/** The cases of checking in Node: images whose clusters are all allocated, compared with `qemu-img check`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { qemu } from './images.js';
import { seconds, takeTurns } from './measure.js';

/** @typedef {import('./report.js').Result} Result */

const GiB = 2 ** 30;
/** Virtual sizes. Tables take 10 MiB for each 64 GiB in the file, and the rest of it is a hole. */
const SIZES = [10 * GiB, 100 * GiB, 1024 * GiB];

/**
 * Runs all of these cases. `bytes` are those of tables.
 *
 * @param {string} folder
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function nodeCheckCases(folder, rounds) {
  const { Qcow2Image } = await import('../dist/src/index.js');
  const { fileSource } = await import('../dist/node/index.js');
  const work = mkdtempSync(join(folder, 'checks-'));
  try {
    /** @type {Result[]} */
    const results = [];
    for (const size of SIZES) {
      const name = `${size / GiB}.qcow2`;
      qemu('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', name, String(size)], '', work);
      const source = fileSource(join(work, name));
      const image = await Qcow2Image.open(source);
      const before = await image.stats();
      await image.check();
      const after = await image.stats();
      const ours = () => seconds(() => image.check());
      const peer = () => seconds(() => qemu('qemu-img', ['check', '-q', name], '', work));
      const times = await takeTurns({ ours, peer }, rounds);
      await image.close();
      await source.close?.();
      results.push({
        ...{ where: 'Node, file, checks', name: `${size / GiB} GiB`, ours: times.ours, reads: 1 },
        bytes: after.deviceBytes - before.deviceBytes,
        calls: after.deviceReads - before.deviceReads,
        transfers: after.deviceTransfers - before.deviceTransfers,
        peer: { seconds: times.peer },
      });
    }
    return results;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
