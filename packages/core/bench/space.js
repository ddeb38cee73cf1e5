/**
 * What the benchmarks of compaction run, in Node and in a worker of Chromium alike: a compaction, alone and beside
 * reads, and a bare copy in the same batches with the same flushes.
 */

/** @typedef {import('../src/index.js').BlockDevice} BlockDevice */
/** @typedef {import('../src/index.js').Qcow2Image} Image */

/**
 * A file, and the calls by which it is copied.
 *
 * @typedef {object} BareFile
 * @property {(bytes: Uint8Array, at: number) => unknown} read
 * @property {(bytes: Uint8Array, at: number) => unknown} write
 * @property {(size: number) => unknown} truncate
 * @property {() => unknown} flush
 */

/**
 * The seconds of one turn. `reads` are those of each read beside the compaction, `flushes` those of the flushes of each
 * batch of the copy.
 *
 * @typedef {{ seconds: number, reads: number[], flushes: number[] }} SpaceTurn
 */

/** @typedef {'compact' | 'compact and read' | 'copy'} SpaceWork */

const MiB = 1024 * 1024;
const CLUSTER = 64 * 1024;
/** The disk whose every other cluster is discarded, bytes; a quarter of it moves. */
export const SPACE_SIZE = 1024 * MiB;
export const MOVED_BYTES = SPACE_SIZE / 4;
/** What a slice of a compaction copies, bytes. */
const BATCH = 4 * MiB;
const SECTOR = 512;
const READ = 4096;

const now = () => performance.now() / 1000;

/**
 * Makes the image, on an empty device. Every flush is done.
 *
 * @param {typeof import('../src/index.js').Qcow2Image} Qcow2Image
 * @param {BlockDevice} device
 * @returns {Promise<Image>}
 */
export async function makeHalfDiscarded(Qcow2Image, device) {
  const image = await Qcow2Image.create(device, { size: SPACE_SIZE });
  const bytes = new Uint8Array(BATCH).fill(7);
  for (let at = 0; at < SPACE_SIZE; at += BATCH) await image.write(at, bytes);
  await image.flush();
  for (let at = 0; at < SPACE_SIZE; at += 2 * CLUSTER) await image.discard(at, CLUSTER);
  await image.flush();
  return image;
}

/**
 * Compacts; with `reading`, 4 KiB of clusters that are in use are read meanwhile, again and again.
 *
 * @param {Image} image
 * @param {boolean} reading
 * @returns {Promise<SpaceTurn>}
 */
export async function compactTurn(image, reading) {
  /** @type {number[]} */
  const reads = [];
  let running = true;
  const started = now();
  const compacting = image.compact().then(() => {
    running = false;
    return now() - started;
  });
  for (let at = CLUSTER; reading && running; at = (at + 2 * CLUSTER) % SPACE_SIZE) {
    const asked = now();
    await image.read(at, READ);
    reads.push(now() - asked);
    await otherMessages();
  }
  return { seconds: await compacting, reads, flushes: [] };
}

/** A turn of the event loop, as between the messages of a page. */
function otherMessages() {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}

/**
 * Copies the clusters that the compaction moves: in the same batches, each of which is flushed before and after one
 * sector is written, as the references to it are. Then it cuts the end off.
 *
 * @param {BareFile} file
 * @returns {SpaceTurn}
 */
export function copyTurn({ read, write, truncate, flush }) {
  const batch = Array.from({ length: BATCH / CLUSTER }, () => new Uint8Array(CLUSTER));
  const references = new Uint8Array(SECTOR);
  /** @type {number[]} */
  const flushes = [];
  const started = now();
  for (let done = 0; done < MOVED_BYTES; done += BATCH) {
    for (const [index, bytes] of batch.entries()) read(bytes, SPACE_SIZE - 2 * (done + index * CLUSTER) - CLUSTER);
    for (const [index, bytes] of batch.entries()) write(bytes, 2 * (done + index * CLUSTER) + CLUSTER);
    const copied = now();
    flush();
    write(references, 0);
    flush();
    flushes.push(now() - copied);
  }
  truncate(SPACE_SIZE / 2);
  flush();
  return { seconds: now() - started, reads: [], flushes };
}
