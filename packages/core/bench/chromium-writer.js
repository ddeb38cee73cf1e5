/** A worker that writes to OPFS, through the engine or with a bare handle. */
import { OpfsDevice } from '../../opfs/dist/worker/storage/opfs-device.js';
import { Qcow2Image } from '../src/index.js';

/**
 * @typedef {object} WriteTurn
 * @property {'engine' | 'bare'} how
 * @property {number} size of the disk, bytes
 * @property {boolean} fresh the clusters are not there yet
 * @property {number[]} offsets
 * @property {number} length of each write, bytes
 * @property {number} flushEvery a flush after so many writes
 */

/**
 * Opens the handle of a contender's file. A file to be overwritten is first filled sequentially: a fresh turn may have
 * left its clusters in random order.
 *
 * @param {string} contender
 * @param {boolean} fresh
 */
async function handleOf(contender, fresh) {
  const folder = await navigator.storage.getDirectory();
  const name = fresh ? `${contender}-fresh` : contender;
  if (fresh) await folder.removeEntry(name).catch(() => {});
  const file = await folder.getFileHandle(name, { create: true });
  return file.createSyncAccessHandle();
}

/**
 * Writes in batches, with a flush after each. Returns the seconds.
 *
 * @param {WriteTurn} turn
 * @param {(offset: number) => unknown} write
 * @param {() => unknown} flush
 */
async function timed({ offsets, flushEvery }, write, flush) {
  const started = performance.now();
  let since = 0;
  for (const offset of offsets) {
    await write(offset);
    if (++since === flushEvery) {
      await flush();
      since = 0;
    }
  }
  await flush();
  return (performance.now() - started) / 1000;
}

/** @param {WriteTurn} turn @param {Uint8Array} bytes */
async function bare(turn, bytes) {
  const handle = await handleOf('bare', turn.fresh);
  if (!turn.fresh && handle.getSize() < turn.size) fill(turn.size, (at, part) => handle.write(part, { at }));
  try {
    const write = (/** @type {number} */ at) => handle.write(bytes, { at });
    return { seconds: await timed(turn, write, () => handle.flush()), calls: 0 };
  } finally {
    handle.close();
  }
}

/** @param {WriteTurn} turn @param {Uint8Array} bytes */
async function engine(turn, bytes) {
  const device = new OpfsDevice(await handleOf('ours', turn.fresh));
  try {
    if (device.size === 0) {
      const made = await Qcow2Image.create(device, { size: turn.size });
      if (!turn.fresh) fill(turn.size, (at, part) => made.writeSync(at, part));
      await made.close();
    }
    const image = await Qcow2Image.open(device, { mode: 'readwrite' });
    const seconds = await timed(
      turn,
      (offset) => image.write(offset, bytes),
      () => image.flush(),
    );
    const calls = (await image.stats()).deviceWrites;
    await image.close();
    return { seconds, calls };
  } finally {
    device.close();
  }
}

/**
 * @param {number} size
 * @param {(at: number, bytes: Uint8Array) => unknown} write
 */
function fill(size, write) {
  const part = new Uint8Array(1024 * 1024).fill(3);
  for (let at = 0; at < size; at += part.length) write(at, part);
}

addEventListener('message', async (/** @type {MessageEvent<WriteTurn>} */ { data: turn }) => {
  const bytes = new Uint8Array(turn.length).fill(7);
  postMessage(await (turn.how === 'engine' ? engine(turn, bytes) : bare(turn, bytes)));
});
