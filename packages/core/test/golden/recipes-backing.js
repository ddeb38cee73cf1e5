/** Owns the golden images that stand on other files: backing chains of every shape that QEMU allows. */
import { mixedDisk } from '../support/numbers.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Puts data, zeros and discards over a base, so that every kind of cluster shows or hides it. */
function cover(bench, image, unit) {
  bench.io(
    image,
    `write -P 1 ${unit} ${unit}`,
    `write -P 2 ${3 * unit + 512} 1024`,
    `write -z ${5 * unit} ${2 * unit}`,
    `write -z -u ${8 * unit} ${unit}`,
    `discard ${10 * unit} ${unit}`,
  );
}

/** Makes a qcow2 file beside the image from noise, text and zeros. */
function base(bench, name, length, options = '', ...args) {
  bench.convert(mixedDisk(length, length, 16 * KiB), name, options, ...args);
}

function overlay(bench, image, size, below, format, options = '') {
  bench.create(image, size, options, '-b', below, '-F', format);
}

const lengths = [
  ['shorter', MiB + 1536, 2 * MiB],
  ['equal', MiB, MiB],
  ['longer', 3 * MiB + 512, MiB + 512],
].map(([how, below, above]) => ({
  name: `backing-${how}`,
  files: ['base.qcow2'],
  make(bench) {
    base(bench, bench.beside('base.qcow2'), below);
    overlay(bench, bench.image, above, bench.beside('base.qcow2'), 'qcow2');
    cover(bench, bench.image, 64 * KiB);
  },
}));

const rawLengths = [
  ['shorter', 700_001, 2 * MiB],
  ['longer', 3 * MiB, MiB + 512],
].map(([how, below, above]) => ({
  name: `backing-raw-${how}`,
  files: ['base.raw'],
  make(bench) {
    bench.write(bench.beside('base.raw'), mixedDisk(below, below, 16 * KiB));
    overlay(bench, bench.image, above, bench.beside('base.raw'), 'raw');
    cover(bench, bench.image, 64 * KiB);
  },
}));

/**
 * The end of the base's disk lies inside a cluster whose rest holds old bytes: above that end there are zeros all the
 * same.
 */
const restOfCluster = {
  name: 'backing-shorter-with-rest',
  files: ['base.qcow2'],
  make(bench) {
    const below = bench.beside('base.qcow2');
    bench.convert(Buffer.alloc(2 * MiB, 'old bytes '), below);
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(MiB + 1536));
    overlay(bench, bench.image, 2 * MiB, below, 'qcow2');
    bench.patch(below, 24, size);
  },
};

/** Renames the header extension that holds the backing format to a type that nobody knows. */
function forgetFormat(bench, image) {
  const at = bench.read(image).subarray(0, 4096).indexOf(Buffer.from('e2792aca', 'hex'));
  if (at < 0) throw new Error(`${image} has no backing format extension`);
  bench.patch(image, at, Buffer.from('0badf00d', 'hex'));
}

const probed = ['qcow2', 'raw'].map((format) => ({
  name: `backing-no-format-${format}`,
  files: [`base.${format}`],
  make(bench) {
    const below = bench.beside(`base.${format}`);
    if (format === 'raw') bench.write(below, mixedDisk(8, MiB, 16 * KiB));
    else base(bench, below, MiB);
    overlay(bench, bench.image, MiB, below, format);
    cover(bench, bench.image, 64 * KiB);
    forgetFormat(bench, bench.image);
  },
}));

/** A short file between two longer ones hides what is below its end: reads there are zeros, not the bottom's bytes. */
const chain = {
  name: 'backing-chain',
  files: ['bottom.raw', 'low.qcow2', 'middle.qcow2'],
  make(bench) {
    bench.write(bench.beside('bottom.raw'), mixedDisk(21, 2 * MiB, 16 * KiB));
    overlay(bench, bench.beside('low.qcow2'), MiB + 512, bench.beside('bottom.raw'), 'raw', 'cluster_size=4k');
    cover(bench, bench.beside('low.qcow2'), 32 * KiB);
    overlay(bench, bench.beside('middle.qcow2'), 2 * MiB, bench.beside('low.qcow2'), 'qcow2', 'compat=0.10');
    cover(bench, bench.beside('middle.qcow2'), 64 * KiB);
    overlay(bench, bench.image, 3 * MiB, bench.beside('middle.qcow2'), 'qcow2', 'cluster_size=512');
    cover(bench, bench.image, 128 * KiB);
  },
};

const compressedBase = {
  name: 'backing-compressed',
  files: ['base.qcow2'],
  make(bench) {
    base(bench, bench.beside('base.qcow2'), MiB + 512, 'cluster_size=16k', '-c');
    overlay(bench, bench.image, MiB + 1024, bench.beside('base.qcow2'), 'qcow2');
    bench.io(bench.image, 'write -P 1 5k 3k', 'write -c -P 2 128k 64k', 'write -c -P 3 256k 64k', 'write -P 4 300k 1k');
  },
};

/** Subclusters over a base: parts of one cluster come from the image, from zeros, and from below. */
const extendedOver = ['qcow2', 'raw'].map((format) => ({
  name: `extended-l2-over-${format}`,
  files: [`base.${format}`],
  make(bench) {
    const below = bench.beside(`base.${format}`);
    if (format === 'raw') bench.write(below, mixedDisk(31, MiB + 5000, 4 * KiB));
    else base(bench, below, MiB + 512);
    overlay(bench, bench.image, 2 * MiB, below, format, 'extended_l2=on');
    bench.io(
      bench.image,
      'write -P 1 0 2k',
      'write -P 2 66k 2k',
      'write -P 3 80k 512',
      'write -z 90k 4k',
      'write -z -u 128k 64k',
      'write -P 4 140k 6k',
      'write -c -P 5 256k 64k',
      'write -P 6 1020k 20k',
      'write -P 7 1500k 2k',
    );
  },
}));

const sharedBase = {
  name: 'backing-extended-l2-base',
  files: ['base.qcow2'],
  make(bench) {
    const below = bench.beside('base.qcow2');
    bench.create(below, MiB, 'extended_l2=on,cluster_size=64k');
    bench.io(below, 'write -P 1 3k 40k', 'write -P 2 100k 2k', 'write -z 110k 4k', 'write -P 3 512k 200k');
    overlay(bench, bench.image, MiB, below, 'qcow2', 'cluster_size=8k');
    cover(bench, bench.image, 8 * KiB);
  },
};

const snapshotOver = {
  name: 'backing-snapshots',
  files: ['base.qcow2'],
  make(bench) {
    base(bench, bench.beside('base.qcow2'), MiB);
    overlay(bench, bench.image, MiB, bench.beside('base.qcow2'), 'qcow2');
    cover(bench, bench.image, 64 * KiB);
    bench.img('snapshot', '-c', 'over a base', bench.image);
    bench.io(bench.image, 'write -P 8 100k 100k');
  },
};

const preallocatedOver = {
  name: 'backing-preallocation-extended-l2',
  files: ['base.qcow2'],
  make(bench) {
    base(bench, bench.beside('base.qcow2'), MiB);
    overlay(bench, bench.image, MiB, bench.beside('base.qcow2'), 'qcow2', 'extended_l2=on,preallocation=metadata');
    bench.io(bench.image, 'write -P 8 100k 3k');
  },
};

export const backingRecipes = [
  ...lengths,
  ...rawLengths,
  restOfCluster,
  ...probed,
  chain,
  compressedBase,
  ...extendedOver,
  sharedBase,
  snapshotOver,
  preallocatedOver,
];
