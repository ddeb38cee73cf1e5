/**
 * The page that Chromium measures: the engine and the store over chosen files, and the bare calls they are compared
 * with.
 */
import { openStore } from 'qcow2-opfs';
import { Qcow2Image } from '../src/index.js';

/**
 * @typedef {{ name: string, how: 'engine' | 'engine stream' | 'bare' | 'bare stream', offsets: number[], length: number
 *   }} Turn
 */

/** @type {Map<string, File>} */
const files = new Map();
/** @type {Map<string, Qcow2Image>} */
const images = new Map();

/** Opens every chosen image. Backing files are resolved among the chosen files. */
async function openAll() {
  const chosen = /** @type {HTMLInputElement} */ (document.querySelector('input')).files ?? [];
  for (const file of chosen) files.set(file.name, file);
  for (const file of chosen) {
    const image = await Qcow2Image.open(file, { resolve: async ({ name }) => files.get(name) ?? null });
    images.set(file.name, image);
  }
}

/**
 * @param {ReadableStream<Uint8Array>} stream
 */
async function drain(stream) {
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}

/**
 * Runs one turn of a contender and returns its seconds. Bare reads use offsets in the file, the engine's offsets on the
 * disk.
 *
 * @param {Turn} turn
 */
async function takeTurn({ name, how, offsets, length }) {
  const image = /** @type {Qcow2Image} */ (images.get(name));
  const file = /** @type {File} */ (files.get(name));
  const into = new Uint8Array(length);
  const started = performance.now();
  if (how === 'engine stream') await drain(image.readable());
  else if (how === 'bare stream') await drain(file.stream());
  else {
    for (const offset of offsets) {
      if (how === 'engine') await image.read(offset, into);
      else into.set(new Uint8Array(await file.slice(offset, offset + length).arrayBuffer()));
    }
  }
  return (performance.now() - started) / 1000;
}

/** @param {string} name */
async function extentsOf(name) {
  const extents = [];
  for await (const extent of /** @type {Qcow2Image} */ (images.get(name)).map()) extents.push(extent);
  return extents;
}

/** @param {string} name */
const statsOf = (name) => /** @type {Qcow2Image} */ (images.get(name)).stats();

/**
 * Checks an image. Returns the seconds.
 *
 * @param {string} name
 */
async function checkTurn(name) {
  const started = performance.now();
  const { findings } = await /** @type {Qcow2Image} */ (images.get(name)).check();
  if (findings.length > 0) throw new Error(`The check of ${name} has found something.`);
  return (performance.now() - started) / 1000;
}

/** @param {string} path */
const startWorker = (path) => new Worker(path, { type: 'module' });

/**
 * Imports a file into a store in OPFS. Returns the seconds until it has its name there.
 *
 * @param {string} name
 */
async function importTurn(name) {
  const store = await openStore({ worker: () => startWorker('/worker.js') });
  const started = performance.now();
  await store.import(name, /** @type {File} */ (files.get(name)));
  const seconds = (performance.now() - started) / 1000;
  await store.remove(name);
  await store.close();
  return seconds;
}

/**
 * Reads a file as a stream in a worker and discards the bytes. Returns the seconds.
 *
 * @param {string} name
 * @returns {Promise<number>}
 */
function readTurn(name) {
  return new Promise((resolve) => {
    const worker = startWorker('/reader.js');
    worker.addEventListener('message', ({ data }) => {
      worker.terminate();
      resolve(data);
    });
    worker.postMessage(files.get(name));
  });
}

/**
 * Takes turns in a worker, which all turns share: a new one would start each turn with code that is not compiled yet.
 *
 * @param {string} path
 * @returns {(turn: unknown) => Promise<unknown>} what the worker measured
 */
function turnsIn(path) {
  /** @type {Worker | null} */
  let started = null;
  return (turn) => {
    started ??= startWorker(path);
    const worker = started;
    return new Promise((resolve, reject) => {
      worker.onerror = reject;
      worker.onmessage = ({ data }) => resolve(data);
      worker.postMessage(turn);
    });
  };
}

/** Writes to OPFS: the seconds and the number of device calls. */
const writeTurn = turnsIn('/writer.js');
/** Compacts in OPFS, or copies as much. */
const spaceTurn = turnsIn('/space.js');

Object.assign(globalThis, {
  bench: { openAll, takeTurn, checkTurn, importTurn, readTurn, writeTurn, spaceTurn, extentsOf, statsOf },
});
