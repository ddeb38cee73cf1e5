/** The benchmark cases in Node: the engine over a file, compared with qemu-img and with bare `readSync` calls. */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { SIZE } from './images.js';
import { hostOffsets, inOrder, seconds, stepped, takeTurns } from './measure.js';
import { convert, qemuBench, SIZES, sha256sum } from './peer.js';

/** @typedef {import('./report.js').Result} Result */
/** @typedef {import('../src/index.js').Qcow2Image} Image */
/** @typedef {import('./peer.js').Name} Name */

const KiB = 1024;
const MiB = 1024 * KiB;
const WHERE = 'Node, file';

/**
 * Opens an image of the folder with the built engine, runs `work` with it and closes everything.
 *
 * @template T
 * @param {string} folder
 * @param {Name} name
 * @param {(image: Image) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withImage(folder, name, work) {
  const { Qcow2Image } = await import('../dist/src/index.js');
  const { fileSource } = await import('../dist/node/index.js');
  /** @type {import('../src/index.js').ByteSource[]} */
  const opened = [];
  /** @param {string} file */
  const source = (file) => {
    const made = fileSource(join(folder, file));
    opened.push(made);
    return made;
  };
  try {
    const image = await Qcow2Image.open(source(`${name}.qcow2`), {
      resolve: async (reference) => source(reference.name),
    });
    return await work(image);
  } finally {
    for (const made of opened) await made.close?.();
  }
}

/**
 * The engine's turn: sequentially awaited reads of `length` bytes at each offset, into one buffer.
 *
 * @param {Image} image
 * @param {readonly number[]} offsets
 * @param {number} length
 */
function engine(image, offsets, length) {
  const into = new Uint8Array(length);
  return () =>
    seconds(async () => {
      for (const offset of offsets) await image.read(offset, into);
    });
}

/**
 * As {@link engine}, with `readSync`.
 *
 * @param {Image} image
 * @param {readonly number[]} offsets
 * @param {number} length
 */
function engineSync(image, offsets, length) {
  const into = new Uint8Array(length);
  return () =>
    seconds(() => {
      for (const offset of offsets) image.readSync(offset, into);
    });
}

/**
 * The raw turn: the same reads with `readSync` at the host offsets, which the caller looked up.
 *
 * @param {number} fd
 * @param {readonly number[]} offsets
 * @param {number} length
 */
function bare(fd, offsets, length) {
  const into = new Uint8Array(length);
  return () =>
    seconds(() => {
      for (const offset of offsets) readSync(fd, into, 0, length, offset);
    });
}

/** @param {Image} image */
async function extentsOf(image) {
  /** @type {import('../src/index.js').Extent[]} */
  const extents = [];
  for await (const extent of image.map()) extents.push(extent);
  return extents;
}

/**
 * Counts the device calls and transfers of one turn.
 *
 * @param {Image} image
 * @param {() => unknown} turn
 */
async function countCalls(image, turn) {
  const before = await image.stats();
  await turn();
  const after = await image.stats();
  return {
    calls: after.deviceReads - before.deviceReads,
    transfers: after.deviceTransfers - before.deviceTransfers,
  };
}

/**
 * @param {string} folder
 * @param {Name} name
 * @param {number} rounds
 * @param {number} [length]
 * @returns {Promise<Result>}
 */
function sequential(folder, name, rounds, length = MiB) {
  return withImage(folder, name, async (image) => {
    const offsets = inOrder(SIZES[name], length);
    const ours = engine(image, offsets, length);
    const times = await takeTurns({ ours, peer: await convert(name) }, rounds);
    const goal = name === 'plain' || name === 'half' ? { goal: 1.5 } : {};
    return {
      ...{
        where: WHERE,
        name: `sequential ${length / KiB} KiB, ${name}`,
        ours: times.ours,
        bytes: SIZES[name],
        reads: offsets.length,
      },
      ...(await countCalls(image, ours)),
      peer: { seconds: times.peer, ...goal },
    };
  });
}

/**
 * @param {string} folder
 * @param {Name} name
 * @param {number} count
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
function random(folder, name, count, rounds) {
  return withImage(folder, name, async (image) => {
    const length = 4 * KiB;
    const ours = engine(image, stepped(SIZES[name], length, count), length);
    const times = await takeTurns({ ours, peer: qemuBench(name, length, count) }, rounds);
    const goal = name === 'plain' ? { goal: 2 } : {};
    return {
      ...{ where: WHERE, name: `random 4 KiB, ${name}`, ours: times.ours, bytes: count * length, reads: count },
      ...(await countCalls(image, ours)),
      peer: { seconds: times.peer, ...goal },
    };
  });
}

/**
 * Compares the engine with the bare calls that it needs at least.
 *
 * @param {string} folder
 * @param {{ label: string, offsets: number[], length: number, goal: number, sync?: boolean }} shape
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
function besideBareCalls(folder, { label, offsets, length, goal, sync }, rounds) {
  return withImage(folder, 'plain', async (image) => {
    const fd = openSync(join(folder, 'plain.qcow2'), 'r');
    try {
      const ours = (sync ? engineSync : engine)(image, offsets, length);
      const raw = bare(fd, hostOffsets(await extentsOf(image), offsets, length), length);
      const times = await takeTurns({ ours, raw }, rounds);
      return {
        ...{
          where: WHERE,
          name: `${label} ${length / KiB} KiB, plain`,
          ours: times.ours,
          bytes: offsets.length * length,
          reads: offsets.length,
        },
        ...(await countCalls(image, ours)),
        raw: { seconds: times.raw, goal },
      };
    } finally {
      closeSync(fd);
    }
  });
}

/**
 * Compares the SHA-256 of a disk with `sha256sum` of the same disk in a raw file.
 *
 * @param {string} folder
 * @param {Name} name
 * @param {'node:crypto' | '@noble/hashes'} by
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
function digest(folder, name, by, rounds) {
  return withImage(folder, name, async (image) => {
    const { nodeHash } = await import('../dist/node/index.js');
    const createHash = by === 'node:crypto' ? nodeHash : undefined;
    const ours = () => seconds(() => image.digest('SHA-256', { createHash }));
    const times = await takeTurns({ ours, raw: await sha256sum(name) }, rounds);
    return {
      ...{ where: WHERE, name: `SHA-256 by ${by}, ${name}`, ours: times.ours, bytes: SIZES[name], reads: 1 },
      ...(await countCalls(image, ours)),
      raw: { seconds: times.raw },
    };
  });
}

/**
 * Hashes disks.
 *
 * @param {string} folder of the images
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function nodeDigestCases(folder, rounds) {
  return [
    await digest(folder, 'plain', 'node:crypto', rounds),
    await digest(folder, 'half', 'node:crypto', rounds),
    await digest(folder, 'plain', '@noble/hashes', rounds),
  ];
}

/**
 * The case of random reads of one length.
 *
 * @param {number} length
 * @param {number} count
 */
function ofSize(length, count) {
  return { label: 'random', offsets: stepped(SIZE, length, count), length };
}

/**
 * Runs all cases in Node.
 *
 * @param {string} folder of the images
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function nodeCases(folder, rounds) {
  return [
    await sequential(folder, 'plain', rounds),
    await sequential(folder, 'plain', rounds, 256 * KiB),
    await sequential(folder, 'half', rounds),
    await sequential(folder, 'fragmented', rounds),
    await sequential(folder, 'overlay', rounds),
    await sequential(folder, 'compressed', rounds),
    await random(folder, 'plain', 100_000, rounds),
    await random(folder, 'fragmented', 100_000, rounds),
    await random(folder, 'overlay', 100_000, rounds),
    await random(folder, 'compressed', 2_000, rounds),
    await besideBareCalls(folder, { ...ofSize(4 * KiB, 100_000), goal: 1.7 }, rounds),
    await besideBareCalls(
      folder,
      { ...ofSize(4 * KiB, 100_000), label: 'readSync, random', goal: 1.3, sync: true },
      rounds,
    ),
    await besideBareCalls(folder, { ...ofSize(64 * KiB, 8_000), goal: 1.3 }, rounds),
    await besideBareCalls(folder, { ...ofSize(MiB, 400), goal: 1.3 }, rounds),
    await besideBareCalls(folder, { label: 'sequential', offsets: inOrder(SIZE, MiB), length: MiB, goal: 1.3 }, rounds),
  ];
}
