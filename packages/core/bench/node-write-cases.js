/**
 * The benchmark cases of writing in Node: the engine over a file, compared with `qemu-img convert` and with bare
 * `writeSync` calls.
 */
import { closeSync, copyFileSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER, qemu, SIZE } from './images.js';
import { inOrder, seconds, stepped, takeTurns } from './measure.js';

/** @typedef {import('./report.js').Result} Result */
/** @typedef {import('../src/index.js').Qcow2Image} Image */
/** @typedef {import('../src/index.js').BlockDevice} BlockDevice */

const KiB = 1024;
const MiB = 1024 * KiB;
const WHERE = 'Node, file, writes';
/** Bytes that are written between two flushes, in cases that flush. */
const BETWEEN_FLUSHES = 16 * MiB;

/**
 * The writes of one case: `length` bytes to each offset of the disk.
 *
 * @typedef {object} Shape
 * @property {string} label
 * @property {readonly number[]} offsets
 * @property {number} length
 * @property {'fresh' | 'plain' | 'overlay'} image an empty one, one whose clusters are all there, or one over it as its
 *   base
 * @property {boolean} [flushes] now and then, and at the end
 * @property {number} [goal]
 */

/**
 * Splits the offsets into batches; a flush follows each.
 *
 * @param {Shape} shape
 */
function batches({ offsets, length, flushes }) {
  if (!flushes) return [offsets];
  const each = Math.max(1, BETWEEN_FLUSHES / length);
  return Array.from({ length: Math.ceil(offsets.length / each) }, (_, i) => offsets.slice(i * each, (i + 1) * each));
}

/**
 * Returns a device whose flush does nothing, as with qemu-img's `-t unsafe`: the speed of the disk is not compared.
 *
 * @param {BlockDevice} device
 * @returns {BlockDevice}
 */
function unflushed(device) {
  return {
    get size() {
      return device.size;
    },
    read: (transfers, signal) => device.read(transfers, signal),
    write: (transfers) => device.write(transfers),
    truncate: (size) => device.truncate(size),
    flush: () => {},
  };
}

/**
 * The engine's turn, on a new image: from the first write until all data is written to the operating system or, in
 * cases that flush, to the disk.
 *
 * @param {string} folder of the images
 * @param {string} work folder of what is written
 * @param {Shape} shape
 * @param {(stats: import('../src/index.js').ImageStats) => void} counted
 */
function engine(folder, work, shape, counted) {
  return async () => {
    const { Qcow2Image } = await import('../dist/src/index.js');
    const { fileDevice, fileSource } = await import('../dist/node/index.js');
    const file = join(work, 'ours.qcow2');
    rmSync(file, { force: true });
    if (shape.image === 'plain') copyFileSync(join(folder, 'plain.qcow2'), file);
    const device = fileDevice(file, { create: shape.image !== 'plain' });
    const base = fileSource(join(folder, 'plain.qcow2'));
    const over = shape.image === 'overlay' ? { backingFile: 'plain.qcow2', backingFormat: 'qcow2' } : {};
    const used = shape.flushes ? device : unflushed(device);
    if (shape.image !== 'plain') await (await Qcow2Image.create(used, { size: SIZE, ...over })).close();
    const image = await Qcow2Image.open(used, { mode: 'readwrite', resolve: async () => base });
    const bytes = new Uint8Array(shape.length).fill(7);
    try {
      const took = await seconds(async () => {
        for (const batch of batches(shape)) {
          for (const offset of batch) await image.write(offset, bytes);
          await image.flush();
        }
      });
      counted(await image.stats());
      return took;
    } finally {
      await image.close();
      device.close?.();
      base.close?.();
    }
  };
}

/**
 * The raw turn: the same writes with writeSync to a raw file.
 *
 * @param {string} work
 * @param {Shape} shape
 * @param {string} folder
 */
function bare(folder, work, shape) {
  return () => {
    const file = join(work, 'bare.raw');
    rmSync(file, { force: true });
    if (shape.image === 'plain') copyFileSync(join(folder, 'plain.qcow2'), file);
    const fd = openSync(file, shape.image === 'plain' ? 'r+' : 'w');
    const bytes = new Uint8Array(shape.length).fill(7);
    try {
      return seconds(() => {
        for (const batch of batches(shape)) {
          for (const offset of batch) writeSync(fd, bytes, 0, bytes.length, offset);
          if (shape.flushes) fsyncSync(fd);
        }
      });
    } finally {
      closeSync(fd);
    }
  };
}

/**
 * @param {string} folder
 * @param {string} work
 * @param {Shape} shape
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function besideBareCalls(folder, work, shape, rounds) {
  let calls = 0;
  const ours = engine(folder, work, shape, (stats) => {
    calls = stats.deviceWrites;
  });
  const times = await takeTurns({ ours, raw: bare(folder, work, shape) }, rounds);
  return {
    ...{ where: WHERE, name: `${shape.label} ${shape.length / KiB} KiB`, ours: times.ours },
    ...{ bytes: shape.offsets.length * shape.length, reads: shape.offsets.length, calls },
    raw: { seconds: times.raw, ...(shape.goal === undefined ? {} : { goal: shape.goal }) },
  };
}

/**
 * Compares fresh sequential writes with `qemu-img convert` from a raw file, minus its startup time.
 *
 * @param {string} folder
 * @param {string} work
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function besideConvert(folder, work, rounds) {
  const shape = {
    label: 'fresh, in order',
    offsets: inOrder(SIZE, MiB),
    length: MiB,
    image: /** @type {const} */ ('fresh'),
  };
  const raw = join(work, 'source.raw');
  qemu('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', join(folder, 'plain.qcow2'), raw]);
  /** @param {string} from */
  const convert = (from) => {
    const to = join(work, 'theirs.qcow2');
    rmSync(to, { force: true });
    return seconds(() => qemu('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', '-t', 'unsafe', from, to]));
  };
  const empty = join(work, 'empty.raw');
  qemu('qemu-img', ['create', '-q', '-f', 'raw', empty, String(CLUSTER)]);
  let start = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) start = Math.min(start, await convert(empty));
  let calls = 0;
  const ours = engine(folder, work, shape, (stats) => {
    calls = stats.deviceWrites;
  });
  const times = await takeTurns({ ours, peer: async () => (await convert(raw)) - start }, rounds);
  return {
    ...{ where: WHERE, name: 'fresh, in order 1024 KiB', ours: times.ours },
    ...{ bytes: SIZE, reads: shape.offsets.length, calls },
    peer: { seconds: times.peer, goal: 1 },
  };
}

/**
 * Runs all cases of writing in Node.
 *
 * @param {string} folder of the images
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function nodeWriteCases(folder, rounds) {
  const work = mkdtempSync(join(folder, 'writing-'));
  /** @param {number} length @param {number} count */
  const random = (length, count) => ({ offsets: stepped(SIZE, length, count), length });
  /** @param {number} length */
  const ordered = (length) => ({ offsets: inOrder(SIZE, length), length });
  /** @type {Shape[]} */
  const shapes = [
    { label: 'fresh, in order', ...ordered(MiB), image: 'fresh', goal: 1.3 },
    { label: 'fresh, in order', ...ordered(64 * KiB), image: 'fresh', goal: 1.3 },
    { label: 'fresh, random', ...random(64 * KiB, 4_000), image: 'fresh', goal: 1.3 },
    { label: 'over, in order', ...ordered(MiB), image: 'plain', goal: 1.3 },
    { label: 'over, random', ...random(64 * KiB, 4_000), image: 'plain', goal: 1.3 },
    { label: 'over, random', ...random(4 * KiB, 20_000), image: 'plain' },
    { label: 'fresh, random', ...random(4 * KiB, 8_000), image: 'fresh' },
    { label: 'over backing, random', ...random(64 * KiB, 2_000), image: 'overlay', goal: 1.3 },
    { label: 'over backing, random', ...random(4 * KiB, 4_000), image: 'overlay' },
    { label: 'fresh, a flush every 16 MiB,', ...ordered(MiB), image: 'fresh', flushes: true, goal: 1.3 },
    { label: 'over, a flush every 16 MiB,', ...ordered(MiB), image: 'plain', flushes: true, goal: 1.3 },
  ];
  try {
    const results = [await besideConvert(folder, work, rounds)];
    for (const shape of shapes) results.push(await besideBareCalls(folder, work, shape, rounds));
    return results;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
