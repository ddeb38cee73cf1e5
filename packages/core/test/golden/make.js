/**
 * Makes the golden images: `x.qcow2` for every recipe, beside it what the image needs, `x.json` with what qemu-img says
 * of it, and `x.<start>.raw` with guest bytes as `qemu-img convert` reads them. Does nothing when they are there
 * already.
 *
 * They lie in a folder named after these scripts and QEMU's version, so a change of either makes them anew. The
 * folder's path is printed.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { qemuVersion, Workbench } from './qemu.js';
import { recipes } from './recipes.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const cache = join(here, '.cache');
const scripts = [
  'make.js',
  'qemu.js',
  'recipes.js',
  'recipes-backing.js',
  'recipes-state.js',
  '../support/numbers.js',
  '../support/dirty-ranges.js',
];

/** A name that changes with everything the images depend on. */
function edition() {
  const hash = createHash('sha256').update(qemuVersion());
  for (const script of scripts) hash.update(readFileSync(join(here, script)));
  return hash.digest('hex').slice(0, 12);
}

/** Reads one guest range with `qemu-img convert`, leaves it as a raw file and says what is in it. */
function describeWindow(bench, [start, length]) {
  const file = bench.beside(`${start}.raw`);
  const range = `driver=raw,offset=${start},size=${length}`;
  bench.img(
    'convert',
    '-O',
    'raw',
    '--image-opts',
    `${range},file.driver=qcow2,file.file.filename=${bench.image}`,
    file,
  );
  return { start, length, file, sha256: createHash('sha256').update(bench.read(file)).digest('hex') };
}

/** Reads the whole image with `qemu-img convert`, without limits of its length: the end may be no whole sector. */
function describeWhole(bench) {
  const file = bench.beside('0.raw');
  bench.img('convert', '-f', 'qcow2', '-O', 'raw', bench.image, file);
  const bytes = bench.read(file);
  return { start: 0, length: bytes.length, file, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * The disk of a snapshot: qemu-img applies it to a copy of the image, which then has the snapshot's size, and reads
 * that.
 */
function describeSnapshot(bench, { id }, bitmaps, windows) {
  const view = bench.viewOf(id, bitmaps);
  try {
    const described = windows?.map((window) => describeWindow(view, window)) ?? [describeWhole(view)];
    return { id, map: JSON.parse(view.img('map', '--output=json', '-f', 'qcow2', view.image)), windows: described };
  } finally {
    view.removeImage();
  }
}

/** What a bitmap marks, as an NBD server tells it; null for one that QEMU does not trust. */
function describeBitmap(bench, { name, flags }) {
  return { name, dirty: flags.includes('in-use') ? null : bench.dirty(name) };
}

/** Everything that qemu-img says of an image. */
function describe(bench, recipe) {
  const { secret } = recipe;
  const keyed = secret ? [...bench.key(secret), ...bench.keyed()] : ['-f', 'qcow2', bench.image];
  const info = JSON.parse(bench.img('info', '--output=json', '-f', 'qcow2', bench.image));
  const { bitmaps = [] } = info['format-specific'].data;
  return {
    name: recipe.name,
    files: (recipe.files ?? []).map((suffix) => bench.beside(suffix)),
    unsupported: recipe.unsupported ?? false,
    info,
    map: JSON.parse(bench.img('map', '--output=json', ...keyed)),
    windows: secret ? [] : (recipe.windows?.map((window) => describeWindow(bench, window)) ?? [describeWhole(bench)]),
    snapshots: (info.snapshots ?? []).map((snapshot) => describeSnapshot(bench, snapshot, bitmaps, recipe.windows)),
    bitmaps: bitmaps.map((bitmap) => describeBitmap(bench, bitmap)),
  };
}

function makeOne(folder, recipe) {
  const bench = new Workbench(folder, recipe.name);
  recipe.make(bench);
  rmSync(join(folder, bench.beside('source.raw')), { force: true });
  for (const file of [bench.image, ...(recipe.files ?? []).map((suffix) => bench.beside(suffix))])
    bench.fillHoles(file);
  writeFileSync(join(folder, `${recipe.name}.json`), `${JSON.stringify(describe(bench, recipe), null, 1)}\n`);
}

/** A run that has made no file for so long was killed. Milliseconds. */
const ABANDONED_AFTER = 120_000;
/** How often it is looked whether another run has finished. Milliseconds. */
const LOOK_EVERY = 200;

/** Whether this run is the one that fills the folder. */
function takes(folder) {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

/** Waits until another run has filled the folder, or has given up. */
function awaitOther(folder) {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let at = changedAt(folder); at !== undefined; at = changedAt(folder)) {
    if (Date.now() - at > ABANDONED_AFTER) rmSync(folder, { recursive: true, force: true });
    Atomics.wait(pause, 0, 0, LOOK_EVERY);
  }
}

/** When a file of the folder was last made; undefined when the folder is gone. */
function changedAt(folder) {
  return statSync(folder, { throwIfNoEntry: false })?.mtimeMs;
}

/**
 * Makes all images in a folder that is moved into place whole. Test files that begin at once need them at once: one run
 * makes them, and the others wait for it.
 */
function make(target) {
  mkdirSync(cache, { recursive: true });
  const folder = `${target}.making`;
  while (!existsSync(target)) {
    if (!takes(folder)) awaitOther(folder);
    else if (!existsSync(target)) fill(folder, target);
    else rmSync(folder, { recursive: true });
  }
}

function fill(folder, target) {
  try {
    for (const recipe of recipes) makeOne(folder, recipe);
    renameSync(folder, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Removes the images of earlier editions, and what a killed run left; not what another run may be using now. */
function removeOld(current) {
  const hourAgo = Date.now() - 3_600_000;
  for (const name of readdirSync(cache)) {
    const old = join(cache, name);
    if (name !== current && statSync(old).mtimeMs < hourAgo) rmSync(old, { recursive: true, force: true });
  }
}

const current = edition();
const target = join(cache, current);
if (!existsSync(target)) {
  make(target);
  removeOld(current);
}
console.log(target);
