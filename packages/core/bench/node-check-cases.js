/**
 * The cases of checking and repairing in Node: images whose clusters are all allocated, compared with `qemu-img check`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeAllocated, qemu } from './images.js';
import { seconds, takeTurns } from './measure.js';

/** @typedef {import('./report.js').Result} Result */

const GiB = 2 ** 30;
/** Virtual sizes. */
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
      const name = makeAllocated(work, size);
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
        peer: { seconds: times.peer, ...(size === 1024 * GiB && { goal: 6 }) },
      });
    }
    results.push(await repairCase(work, rounds));
    return results;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Repairs an image of 1 TiB that has lost all its refcounts, compared with `qemu-img check -r all`. Both repair a copy.
 *
 * @param {string} work
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function repairCase(work, rounds) {
  const { Qcow2Image } = await import('../dist/src/index.js');
  const { fileDevice } = await import('../dist/node/index.js');
  const name = '1024.qcow2';
  const damaged = join(work, name);
  loseRefcounts(damaged);
  const copy = join(work, 'copy.qcow2');
  const copied = () => execFileSync('cp', ['--sparse=always', damaged, copy]);
  /** @type {import('../src/index.js').RepairReport | undefined} */
  let report;
  const ours = async () => {
    copied();
    const device = fileDevice(copy);
    const image = await Qcow2Image.open(device, { mode: 'repair' });
    const time = await seconds(async () => {
      report = await image.repair({ fix: 'all' });
    });
    await image.close();
    await device.close?.();
    return time;
  };
  const peer = async () => {
    copied();
    // It prints a line for each cluster, millions of them.
    const args = ['check', '-q', '-r', 'all', 'copy.qcow2'];
    return seconds(() => void spawnSync('qemu-img', args, { cwd: work, stdio: 'ignore' }));
  };
  const times = await takeTurns({ ours, peer }, rounds);
  if (report?.after.findings.length !== 0) throw new Error('The repair has left faults.');
  const entry = { where: 'Node, file, repairs', name: '1024 GiB, no refcounts', ours: times.ours, reads: 1 };
  return { ...entry, bytes: 0, calls: 0, transfers: 0, peer: { seconds: times.peer } };
}

/** Clears the entries of the refcount table. @param {string} path */
function loseRefcounts(path) {
  const file = openSync(path, 'r+');
  const header = Buffer.alloc(60);
  readSync(file, header, 0, 60, 0);
  const bytes = header.readUInt32BE(56) * 2 ** header.readUInt32BE(20);
  writeSync(file, Buffer.alloc(bytes), 0, bytes, Number(header.readBigUInt64BE(48)));
  closeSync(file);
}
