/** Creates the images that are measured, once, with QEMU's tools, in a folder that git ignores. */
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Cluster size of all images. */
export const CLUSTER = 64 * KiB;
/** Virtual size of the uncompressed images without holes: the time is spent on bytes, not on skipping holes. */
export const SIZE = 512 * MiB;
/** Virtual size of the image whose half is holes. */
export const HALF_SIZE = 2 * SIZE;
/** Virtual size of the compressed image: decompression is about twenty times as slow. */
export const COMPRESSED_SIZE = 64 * MiB;

const cache = fileURLToPath(new URL('./.cache/', import.meta.url));
/** The name changes when the images change. */
const folder = join(cache, 'images-2');

/**
 * Runs one of QEMU's tools in the folder of the images. Returns its output.
 *
 * @param {'qemu-img' | 'qemu-io'} tool
 * @param {readonly string[]} args
 * @param {string} [input]
 * @param {string} [cwd]
 */
export function qemu(tool, args, input, cwd = folder) {
  return execFileSync(tool, args, { cwd, input, encoding: 'utf8', maxBuffer: 64 * MiB });
}

/**
 * Writes a raw disk: each cluster is 24 KiB of noise, then text, so that deflate halves it.
 *
 * @param {string} file
 * @param {number} length
 */
function writeRaw(file, length) {
  const handle = openSync(file, 'w');
  const cluster = Buffer.alloc(CLUSTER);
  for (let at = 0; at < length; at += CLUSTER) {
    cluster.fill(`guest offset ${at}, some text; `);
    randomFillSync(cluster, 0, 24 * KiB);
    writeSync(handle, cluster);
  }
  closeSync(handle);
}

/**
 * Returns the cluster numbers of a disk in an order in which no two consecutive clusters are adjacent.
 *
 * @param {number} count
 */
function scattered(count) {
  return Array.from({ length: count }, (_, i) => (i * 4_801) % count);
}

/** @param {string} here */
function makeImages(here) {
  /** @param {readonly string[]} args */
  const img = (...args) => qemu('qemu-img', args, undefined, here);
  writeRaw(join(here, 'data.raw'), SIZE);
  img('convert', '-f', 'raw', '-O', 'qcow2', 'data.raw', 'plain.qcow2');

  img('create', '-q', '-f', 'qcow2', 'fragmented.qcow2', String(SIZE));
  const writes = scattered(SIZE / CLUSTER).map((i) => `write -q -P ${i % 256} ${i * CLUSTER} ${CLUSTER}\n`);
  qemu('qemu-io', ['-f', 'qcow2', 'fragmented.qcow2'], writes.join(''), here);

  // runs of 1 to 32 clusters, data and holes in turn
  img('create', '-q', '-f', 'qcow2', 'half.qcow2', String(HALF_SIZE));
  const data = [];
  for (let at = 0, run = 0; at < HALF_SIZE; run++) {
    const length = Math.min(HALF_SIZE - at, 2 * CLUSTER * (1 + ((run * 7) % 16)));
    data.push(`write -q -P ${run % 256} ${at} ${length / 2}\n`);
    at += length;
  }
  qemu('qemu-io', ['-f', 'qcow2', 'half.qcow2'], data.join(''), here);

  // every fourth cluster is in the overlay
  img('create', '-q', '-f', 'qcow2', '-b', 'plain.qcow2', '-F', 'qcow2', 'overlay.qcow2');
  const above = Array.from({ length: SIZE / CLUSTER / 4 }, (_, i) => i * 4 * CLUSTER);
  const covers = above.map((at) => `write -q -P 1 ${at} ${CLUSTER}\n`);
  qemu('qemu-io', ['-f', 'qcow2', 'overlay.qcow2'], covers.join(''), here);

  writeRaw(join(here, 'data.raw'), COMPRESSED_SIZE);
  img('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'data.raw', 'compressed.qcow2');
  img('create', '-q', '-f', 'qcow2', 'empty.qcow2', String(SIZE));
  rmSync(join(here, 'data.raw'));
}

/**
 * Creates an image of `size` bytes in `folder`, with all clusters allocated and none written: tables take 10 MiB for
 * each 64 GiB in the file, and the rest of it is a hole. Returns its name.
 *
 * @param {string} folder
 * @param {number} size
 */
export function makeAllocated(folder, size) {
  const name = `${size / 2 ** 30}.qcow2`;
  qemu('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', name, String(size)], '', folder);
  return name;
}

/** Returns the folder of the images. Creates them when they do not exist: about 2 GB and ten seconds. */
export function imageFolder() {
  if (existsSync(folder)) return folder;
  const making = `${folder}.making-${process.pid}`;
  mkdirSync(making, { recursive: true });
  try {
    makeImages(making);
    if (!existsSync(folder)) renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}

/**
 * Returns the path of an image's disk as a raw file. Creates it when it does not exist, with the holes that qemu-img
 * leaves.
 *
 * @param {string} name
 */
export function rawFile(name) {
  const file = join(folder, `${name}.raw`);
  if (existsSync(file)) return file;
  const making = `${file}.making-${process.pid}`;
  qemu('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', `${name}.qcow2`, making]);
  renameSync(making, file);
  return file;
}
