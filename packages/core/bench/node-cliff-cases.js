/**
 * The cases of writing in Node whose cost once grew with unrelated structures: holes that are too short, a long L1
 * table, and lazy refcounts over their budget. test/plans/write-calls.test.ts counts the device calls of each.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { seconds, takeTurns } from './measure.js';

/** @typedef {import('./report.js').Result} Result */
/** @typedef {import('../src/index.js').Qcow2Image} Image */

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/**
 * @typedef {object} Cliff
 * @property {string} name
 * @property {import('../src/index.js').CreateOptions} options
 * @property {number} [refcountBytes] budget of refcount blocks
 * @property {(image: Image) => Promise<void>} [prepare] what is done before the clock starts
 * @property {readonly { readonly at: number, readonly length: number }[]} writes
 * @property {number} [flushEach] a flush after so many writes
 */

/** @param {number} count @param {(index: number) => { at: number, length: number }[]} make */
const repeat = (count, make) => Array.from({ length: count }, (_, index) => make(index)).flat();

const HOLES = 4_000;
/** Distance of the discarded 4 KiB clusters, bytes, up to the last 128 MiB, which are discarded completely. */
const APART = Math.floor((2 * GiB - 128 * MiB) / HOLES / 4096) * 4096;

/** @type {Cliff[]} */
const CLIFFS = [
  {
    name: `${HOLES} holes, pairs of 4 and 64 KiB`,
    options: { size: 2 * GiB, clusterSize: 4 * KiB, preallocation: 'metadata' },
    prepare: async (image) => {
      for (let hole = 0; hole < HOLES; hole++) await image.discard(hole * APART, 4 * KiB);
      await image.discard(2 * GiB - 128 * MiB, 128 * MiB);
      await image.flush();
    },
    writes: repeat(1_000, (index) => [
      { at: index * APART, length: 4 * KiB },
      { at: 2 * GiB - 128 * MiB + index * 64 * KiB, length: 64 * KiB },
    ]),
  },
  {
    name: 'L1 of 32 MiB, two far apart, flush',
    options: { size: 127 * GiB, clusterSize: 512 },
    writes: repeat(50, (index) => [
      { at: index * 64 * KiB, length: 512 },
      { at: 126 * GiB + index * 64 * KiB, length: 512 },
    ]),
    flushEach: 2,
  },
  {
    name: 'lazy refcounts over budget',
    options: { size: 8 * MiB, clusterSize: 512, refcountBits: 64, lazyRefcounts: true },
    refcountBytes: 0,
    writes: repeat(2_048, (index) => [{ at: index * 512, length: 512 }]),
  },
];

/**
 * @param {string} work
 * @param {Cliff} cliff
 * @param {(calls: number) => void} counted
 */
function engine(work, { options, refcountBytes, prepare, writes, flushEach }, counted) {
  return async () => {
    const { Qcow2Image } = await import('../dist/src/index.js');
    const { fileDevice } = await import('../dist/node/index.js');
    const file = join(work, 'ours.qcow2');
    rmSync(file, { force: true });
    const made = await Qcow2Image.create(fileDevice(file, { create: true }), options);
    await prepare?.(made);
    await made.close();
    const device = fileDevice(file);
    const image = await Qcow2Image.open(device, { mode: 'readwrite', cache: { refcountBytes } });
    const bytes = new Uint8Array(64 * KiB).fill(7);
    try {
      const took = await seconds(async () => {
        for (const [index, { at, length }] of writes.entries()) {
          await image.write(at, bytes.subarray(0, length));
          if (flushEach !== undefined && (index + 1) % flushEach === 0) await image.flush();
        }
        await image.flush();
      });
      counted((await image.stats()).deviceWrites + (await image.stats()).deviceFlushes);
      return took;
    } finally {
      await image.close();
      device.close?.();
    }
  };
}

/**
 * The same writes with writeSync to a raw file, without a flush.
 *
 * @param {string} work
 * @param {Cliff} cliff
 */
function bare(work, { writes }) {
  return () => {
    const file = join(work, 'bare.raw');
    rmSync(file, { force: true });
    const fd = openSync(file, 'w');
    const bytes = new Uint8Array(64 * KiB).fill(7);
    try {
      return seconds(() => {
        for (const { at, length } of writes) writeSync(fd, bytes, 0, length, at);
      });
    } finally {
      closeSync(fd);
    }
  };
}

/**
 * Runs all of these cases. `calls` counts writes and flushes of the device.
 *
 * @param {string} folder
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function nodeCliffCases(folder, rounds) {
  const work = mkdtempSync(join(folder, 'cliffs-'));
  try {
    const results = [];
    for (const cliff of CLIFFS) {
      let calls = 0;
      const ours = engine(work, cliff, (count) => {
        calls = count;
      });
      const times = await takeTurns({ ours, raw: bare(work, cliff) }, rounds);
      const bytes = cliff.writes.reduce((sum, { length }) => sum + length, 0);
      results.push({
        ...{ where: 'Node, file, cliffs', name: cliff.name, ours: times.ours },
        ...{ bytes, reads: cliff.writes.length, calls, raw: { seconds: times.raw } },
      });
    }
    return results;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
