/** Owns the golden images that keep more than one state of a disk: internal snapshots and persistent bitmaps. */
import { mixedDisk } from '../support/numbers.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Bytes of a snapshot's entry before its extra data (spec: "Snapshots"). */
const ENTRY_BYTES = 40;

/** Where the snapshot table is. */
function snapshotTable(bench) {
  return Number(bench.read(bench.image).readBigUInt64BE(64));
}

/** Takes the extra data out of the only snapshot's entry, as QEMU wrote it before 0.14. */
function withoutExtra(bench) {
  const at = snapshotTable(bench);
  const entry = bench.read(bench.image).subarray(at);
  const extra = entry.readUInt32BE(36);
  const strings = entry.readUInt16BE(12) + entry.readUInt16BE(14);
  const moved = Buffer.alloc(ENTRY_BYTES + extra + strings);
  entry.copy(moved, 0, 0, ENTRY_BYTES);
  moved.writeUInt32BE(0, 36);
  entry.copy(moved, ENTRY_BYTES, ENTRY_BYTES + extra, ENTRY_BYTES + extra + strings);
  bench.patch(bench.image, at, moved);
}

/** Data, a snapshot, changes, a second one, changes: all kinds of clusters shared and not. */
function grow(bench, unit) {
  bench.io(bench.image, `write -P 1 0 ${8 * unit}`, `write -c -P 2 ${8 * unit} ${unit}`, `write -z ${unit} ${unit}`);
  bench.img('snapshot', '-c', 'first', bench.image);
  bench.io(
    bench.image,
    `write -P 3 ${2 * unit} ${3 * unit}`,
    `write -z ${4 * unit} ${unit}`,
    `write -P 4 ${8 * unit + 512} 512`,
    `discard ${6 * unit} ${unit}`,
  );
  bench.img('snapshot', '-c', 'second', bench.image);
  bench.io(bench.image, `write -P 5 0 ${2 * unit}`, `write -P 6 ${10 * unit} ${unit}`);
}

const kinds = [
  ['512', 4 * KiB, 'cluster_size=512'],
  ['64k', 64 * KiB, ''],
  ['2m', 2 * MiB, 'cluster_size=2m'],
  ['extended-l2', 64 * KiB, 'extended_l2=on'],
  ['zstd', 64 * KiB, 'compression_type=zstd'],
  ['v2', 64 * KiB, 'compat=0.10'],
  ['refcount-4', 64 * KiB, 'refcount_bits=4'],
  ['refcount-64', 16 * KiB, 'refcount_bits=64,cluster_size=16k'],
].map(([how, unit, options]) => ({
  name: `snapshots-${how}`,
  make(bench) {
    bench.create(bench.image, 12 * unit + 512, options);
    // a compressed write is of one whole cluster
    if (how === '512') bench.io(bench.image, ...Array.from({ length: 8 }, (_, i) => `write -c -P ${i} ${i * 512} 512`));
    grow(bench, unit);
  },
}));

const snapshots = {
  name: 'snapshots',
  make(bench) {
    bench.create(bench.image, 2 * MiB);
    bench.io(bench.image, 'write -P 1 0 1m');
    bench.img('snapshot', '-c', 'first', bench.image);
    bench.io(bench.image, 'write -P 2 128k 256k', 'write -z 512k 64k');
    bench.img('snapshot', '-c', 'sécond with a long name that no field of fixed width would hold', bench.image);
    bench.io(bench.image, 'write -P 3 256k 64k', 'write -P 4 1500k 100k');
    bench.img('snapshot', '-d', 'first', bench.image);
    bench.img('snapshot', '-c', 'third', bench.image);
  },
};

/** The disk grows, and shrinks, between snapshots. */
const sizes = {
  name: 'snapshots-of-other-sizes',
  make(bench) {
    bench.create(bench.image, MiB, 'cluster_size=4k');
    bench.io(bench.image, 'write -P 1 0 1m');
    bench.img('snapshot', '-c', 'small', bench.image);
    bench.img('resize', '-q', '-f', 'qcow2', bench.image, String(6 * MiB + 512));
    bench.io(bench.image, 'write -P 2 512k 5m');
    bench.img('snapshot', '-c', 'large', bench.image);
    bench.img('resize', '-q', '-f', 'qcow2', '--shrink', bench.image, String(512 * KiB + 1024));
    bench.io(bench.image, 'write -P 3 100k 200k');
  },
};

const withoutExtraData = {
  name: 'snapshots-v2-without-extra-data',
  make(bench) {
    bench.create(bench.image, MiB, 'compat=0.10');
    bench.io(bench.image, 'write -P 1 0 300k');
    bench.img('snapshot', '-c', 'old', bench.image);
    bench.io(bench.image, 'write -P 2 100k 300k');
    withoutExtra(bench);
  },
};

/** The machine's state lies past the end of the disk, where no read and no map may come. */
const vmState = {
  name: 'snapshots-vm-state',
  make(bench) {
    bench.create(bench.image, MiB + 512, 'cluster_size=16k');
    bench.io(bench.image, 'write -P 1 0 1m', 'write -b -P 99 0 300k');
    bench.img('snapshot', '-c', 'with state', bench.image);
    bench.io(bench.image, 'write -P 2 100k 300k');
    const at = snapshotTable(bench);
    const words = Buffer.alloc(24);
    words.writeUInt32BE(1_234_567_890, 0); // date, seconds
    words.writeUInt32BE(987_654_321, 4); // date, nanoseconds
    words.writeBigUInt64BE(123_456_789_012_345n, 8); // the guest's clock, nanoseconds
    words.writeUInt32BE(1, 16); // its state's size, which the extra data override
    bench.patch(bench.image, at + 16, words.subarray(0, 20));
    const extra = Buffer.alloc(8);
    extra.writeBigUInt64BE(BigInt(300 * KiB));
    bench.patch(bench.image, at + ENTRY_BYTES, extra);
    extra.writeBigUInt64BE(77_000_000_000n);
    bench.patch(bench.image, at + ENTRY_BYTES + 16, extra); // icount
  },
};

/** L1 tables of many clusters each. */
const longL1 = {
  name: 'snapshots-long-l1',
  windows: [
    [0, 256 * KiB],
    [32 * MiB - 128 * KiB, 256 * KiB],
    [64 * MiB - 64 * KiB, 64 * KiB + 512],
  ],
  make(bench) {
    bench.create(bench.image, 64 * MiB + 512, 'cluster_size=512');
    bench.io(bench.image, 'write -P 1 4k 8k', `write -P 2 ${32 * MiB - 4096} 8k`, `write -P 3 ${64 * MiB} 512`);
    bench.img('snapshot', '-c', 'long', bench.image);
    bench.io(bench.image, `write -P 4 ${32 * MiB} 4k`);
  },
};

const bitmaps = {
  name: 'bitmaps',
  make(bench) {
    bench.create(bench.image, 4 * MiB);
    bench.img('bitmap', '--add', bench.image, 'plain');
    bench.img('bitmap', '--add', '--disable', '-g', '4096', bench.image, 'off');
    bench.io(bench.image, 'write -P 1 0 1m');
  },
};

/**
 * Marks ranges of every shape: single bits, runs over several bytes and clusters of bits, the last bit, which is cut.
 */
function mark(bench, size) {
  const last = size - (size % 512) - 512;
  bench.io(
    bench.image,
    'write -P 1 0 512',
    'write -P 2 70k 1k',
    'write -P 3 1m 300k',
    'write -z 2m 128k',
    ...Array.from({ length: 40 }, (_, i) => `write -q -P ${i} ${3 * MiB + i * 8 * KiB} 512`),
    `write -P 4 ${last} 512`,
  );
}

const granularities = [
  ['512', 512, 5 * MiB + 512, 'cluster_size=512'],
  ['4k', 4 * KiB, 5 * MiB + 1536, 'cluster_size=4k'],
  ['64k', 64 * KiB, 300 * MiB + 512, ''],
  ['2g', 2 * GiB, 5 * GiB, 'cluster_size=2m'],
  ['512-extended-l2', 512, 4 * MiB, 'extended_l2=on'],
].map(([how, granularity, size, options]) => ({
  name: `bitmaps-granularity-${how}`,
  windows: [[0, 4 * MiB]],
  make(bench) {
    bench.create(bench.image, size, options);
    bench.img('bitmap', '--add', '-g', String(granularity), bench.image, 'marks');
    mark(bench, size);
  },
}));

const manyBitmaps = {
  name: 'bitmaps-many',
  make(bench) {
    bench.create(bench.image, 2 * MiB);
    for (let i = 0; i < 12; i++) {
      const how = i % 3 === 2 ? ['--disable'] : [];
      bench.img('bitmap', '--add', ...how, '-g', String(512 << i), bench.image, `bitmap ${i} ${'ñ'.repeat(i * 5)}`);
      bench.io(bench.image, `write -P ${i} ${i * 100 * KiB} ${(i + 1) * KiB}`);
    }
    bench.img('bitmap', '--clear', bench.image, 'bitmap 0 ');
    bench.img('bitmap', '--remove', bench.image, `bitmap 3 ${'ñ'.repeat(15)}`);
    bench.img('bitmap', '--merge', 'bitmap 0 ', bench.image, `bitmap 4 ${'ñ'.repeat(20)}`);
  },
};

/** A crash while the image was open leaves its bitmaps marked in use: nobody saved what they had seen. */
const inUse = {
  name: 'bitmaps-in-use',
  make(bench) {
    bench.create(bench.image, 2 * MiB);
    bench.img('bitmap', '--add', bench.image, 'lost');
    bench.io(bench.image, 'write -P 1 0 64k');
    bench.crash(bench.image, 'write -P 2 1m 64k', 'flush');
  },
};

/** A writer that knew nothing of bitmaps cleared the bit that vouches for them. */
const stale = {
  name: 'bitmaps-not-vouched-for',
  make(bench) {
    bench.create(bench.image, 2 * MiB);
    bench.img('bitmap', '--add', bench.image, 'stale');
    bench.io(bench.image, 'write -P 1 0 64k');
    bench.patch(bench.image, 95, [0]); // the last byte of the autoclear features
  },
};

const everything = {
  name: 'bitmaps-snapshots-backing-compressed',
  files: ['base.raw'],
  make(bench) {
    bench.write(bench.beside('base.raw'), mixedDisk(91, MiB, 16 * KiB));
    const options = 'compression_type=zstd,cluster_size=32k';
    bench.create(bench.image, 2 * MiB, options, '-b', bench.beside('base.raw'), '-F', 'raw');
    bench.img('bitmap', '--add', '-g', '32k', bench.image, 'since the start');
    bench.io(bench.image, 'write -c -P 1 64k 32k', 'write -P 2 100k 10k');
    bench.img('snapshot', '-c', 'before', bench.image);
    bench.img('bitmap', '--add', '-g', '1k', bench.image, 'since the snapshot');
    bench.io(bench.image, 'write -P 3 64k 1k', 'write -z 1m 64k', 'discard 96k 32k');
  },
};

const dataFile = {
  name: 'bitmaps-data-file',
  files: ['data'],
  make(bench) {
    bench.create(bench.image, 2 * MiB, `data_file=${bench.beside('data')}`);
    bench.img('bitmap', '--add', bench.image, 'marks');
    bench.io(bench.image, 'write -P 1 300k 100k');
  },
};

export const stateRecipes = [
  snapshots,
  ...kinds,
  sizes,
  withoutExtraData,
  vmState,
  longL1,
  bitmaps,
  ...granularities,
  manyBitmaps,
  inUse,
  stale,
  everything,
  dataFile,
];
