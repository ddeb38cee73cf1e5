/** The benchmark cases in Chromium: the engine over a File, compared with bare slices and streams of the same file. */
import { join } from 'node:path';
import { withPage } from './chromium.js';
import { SIZE } from './images.js';
import { hostOffsets, inOrder, stepped, takeTurns } from './measure.js';
import { convert, SIZES } from './peer.js';

/** @typedef {import('./report.js').Result} Result */
/** @typedef {import('playwright').Page} Page */
/** @typedef {import('./peer.js').Name} Name */

const KiB = 1024;
const MiB = 1024 * KiB;
/** Length that is read sequentially, bytes: Chromium needs a second for it. */
const SEQUENTIAL = 128 * MiB;
const WHERE = 'Chromium, File';

/**
 * Returns one contender in the page.
 *
 * @param {Page} page
 * @param {Name} name
 * @param {'engine' | 'engine stream' | 'bare' | 'bare stream'} how
 * @param {readonly number[]} offsets
 * @param {number} length
 * @returns {() => Promise<number>}
 */
function inPage(page, name, how, offsets, length) {
  const turn = JSON.stringify({ name: `${name}.qcow2`, how, offsets, length });
  return () => page.evaluate(`bench.takeTurn(${turn})`);
}

/**
 * Counts the device calls and transfers of one turn.
 *
 * @param {Page} page
 * @param {Name} name
 * @param {() => Promise<number>} turn
 */
async function countCalls(page, name, turn) {
  /** @returns {Promise<import('../src/index.js').ImageStats>} */
  const stats = () => page.evaluate(`bench.statsOf('${name}.qcow2')`);
  const before = await stats();
  await turn();
  const after = await stats();
  return {
    calls: after.deviceReads - before.deviceReads,
    transfers: after.deviceTransfers - before.deviceTransfers,
  };
}

/**
 * Reads the first part of an image sequentially. qemu-img reads all of it, and its time is scaled to the same part: the
 * images are uniform.
 *
 * @param {Page} page
 * @param {Name} name
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function sequential(page, name, rounds) {
  const bytes = Math.min(SEQUENTIAL, SIZES[name]);
  const offsets = inOrder(bytes, MiB);
  const ours = inPage(page, name, 'engine', offsets, MiB);
  const times = await takeTurns({ ours, peer: await convert(name) }, rounds);
  return {
    ...{ where: WHERE, name: `sequential 1024 KiB, ${name}`, ours: times.ours, bytes, reads: offsets.length },
    ...(await countCalls(page, name, ours)),
    peer: { seconds: times.peer.map((seconds) => (seconds * bytes) / SIZES[name]) },
  };
}

/**
 * Compares the whole disk as a stream with the whole file as a stream.
 *
 * @param {Page} page
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function streamed(page, rounds) {
  const ours = inPage(page, 'plain', 'engine stream', [], 0);
  const times = await takeTurns({ ours, raw: inPage(page, 'plain', 'bare stream', [], 0) }, rounds);
  return {
    ...{ where: WHERE, name: 'stream of everything, plain', ours: times.ours, bytes: SIZE, reads: SIZE / MiB },
    ...(await countCalls(page, 'plain', ours)),
    raw: { seconds: times.raw },
  };
}

/**
 * Compares an import of the whole file into a store in OPFS with reading it as a stream in a worker. No source of the
 * engine is read.
 *
 * @param {Page} page
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function imported(page, rounds) {
  /** @type {() => Promise<number>} */
  const ours = () => page.evaluate(`bench.importTurn('plain.qcow2')`);
  /** @type {() => Promise<number>} */
  const raw = () => page.evaluate(`bench.readTurn('plain.qcow2')`);
  const times = await takeTurns({ ours, raw }, rounds);
  return {
    ...{ where: 'Chromium, OPFS', name: 'import, beside a stream in the worker, plain', ours: times.ours },
    ...{ bytes: SIZES.plain, reads: 1, calls: 0, transfers: 0 },
    // At least .7 of the stream's speed: at most 1 / .7 of its time.
    raw: { seconds: times.raw, goal: 1.43 },
  };
}

/**
 * Compares the engine with bare slices at the host offsets of the same reads.
 *
 * @param {Page} page
 * @param {{ label: string, offsets: number[], length: number, goal?: number }} shape
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function besideSlices(page, { label, offsets, length, goal }, rounds) {
  /** @type {import('../src/index.js').Extent[]} */
  const extents = await page.evaluate(`bench.extentsOf('plain.qcow2')`);
  const ours = inPage(page, 'plain', 'engine', offsets, length);
  const raw = inPage(page, 'plain', 'bare', hostOffsets(extents, offsets, length), length);
  const times = await takeTurns({ ours, raw }, rounds);
  const bytes = offsets.length * length;
  return {
    ...{ where: WHERE, name: `${label} ${length / KiB} KiB, plain`, ours: times.ours, bytes, reads: offsets.length },
    ...(await countCalls(page, 'plain', ours)),
    raw: { seconds: times.raw, ...(goal === undefined ? {} : { goal }) },
  };
}

/**
 * The case of random reads of one length.
 *
 * @param {number} length
 * @param {number} count
 * @param {number} goal
 */
function ofSize(length, count, goal) {
  return { label: 'random', offsets: stepped(SIZE, length, count), length, goal };
}

/**
 * The case of sequential reads of one length, over more than the source's cache, so that no turn reads blocks that an
 * earlier one cached.
 *
 * @param {number} length
 * @param {number} goal
 */
function inPieces(length, goal) {
  return { label: 'sequential', offsets: inOrder(32 * MiB, length), length, goal };
}

/**
 * Runs all cases in Chromium.
 *
 * @param {string} folder of the images
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export function chromiumCases(folder, rounds) {
  const files = ['plain', 'fragmented', 'overlay', 'compressed'].map((name) => join(folder, `${name}.qcow2`));
  return withPage(files, async (page) => [
    await sequential(page, 'plain', rounds),
    await sequential(page, 'fragmented', rounds),
    await sequential(page, 'overlay', rounds),
    await sequential(page, 'compressed', rounds),
    await streamed(page, rounds),
    await imported(page, rounds),
    await besideSlices(page, ofSize(4 * KiB, 300, 1.7), rounds),
    await besideSlices(page, ofSize(64 * KiB, 300, 1.3), rounds),
    await besideSlices(page, ofSize(MiB, 100, 1.3), rounds),
    await besideSlices(page, inPieces(64 * KiB, 1.3), rounds),
    await besideSlices(page, inPieces(MiB, 1.3), rounds),
  ]);
}
