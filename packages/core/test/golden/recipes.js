/** Owns the list of golden images: how each is made with QEMU's tools, and what is special about it. */

import { mixedDisk } from '../support/numbers.js';
import { backingRecipes } from './recipes-backing.js';
import { stateRecipes } from './recipes-state.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const TiB = 1024 * 1024 * MiB;

/** Every legal cluster size, 512 bytes to 2 MiB. */
const CLUSTER_SIZES = Array.from({ length: 13 }, (_, i) => 512 << i);

/** Zeroes and discards some clusters: allocated zero, plain zero, discarded, and parts of clusters. */
function punch(bench, image, unit) {
  bench.io(
    image,
    `write -z ${unit} ${2 * unit}`,
    `write -z -u ${4 * unit} ${2 * unit}`,
    `discard ${7 * unit} ${unit}`,
    `write -z ${9 * unit + unit / 4} ${unit / 2}`,
    `write -P 77 ${10 * unit + unit / 2} ${unit}`,
  );
}

const clusterSizes = CLUSTER_SIZES.flatMap((size) => {
  const length = Math.max(300 * KiB, 12 * size) + 1536; // ends inside a cluster wherever a cluster can hold that
  const recipe = (version, compat) => ({
    name: `${version}-cluster-${size}`,
    make(bench) {
      bench.convert(
        mixedDisk(size, length, Math.max(size, 4 * KiB)),
        bench.image,
        `compat=${compat},cluster_size=${size}`,
      );
      // 4 KiB is the least that a write of zeros may cover on every host
      punch(bench, bench.image, Math.max(size, 4 * KiB));
    },
  });
  return [512, 64 * KiB, 256 * KiB].includes(size)
    ? [recipe('v3', '1.1'), recipe('v2', '0.10')]
    : [recipe('v3', '1.1')];
});

const refcounts = [1, 2, 4, 8, 16, 32, 64].map((bits) => ({
  name: `refcount-${bits}`,
  make(bench) {
    bench.convert(mixedDisk(bits, MiB, 16 * KiB), bench.image, `refcount_bits=${bits},cluster_size=16k`);
  },
}));

const compressed = [
  [512, '1.1'],
  [4 * KiB, '1.1'],
  [64 * KiB, '1.1'],
  [64 * KiB, '0.10'],
  [2 * MiB, '1.1'],
].map(([size, compat]) => ({
  name: `compressed-${size}-${compat}`,
  make(bench) {
    const length = Math.max(200 * KiB, 6 * size) + 2560;
    bench.convert(
      mixedDisk(size, length, Math.max(size / 2, 512)),
      bench.image,
      `compat=${compat},cluster_size=${size}`,
      '-c',
    );
    bench.io(
      bench.image,
      `write -P 5 ${size} ${size}`,
      `write -P 6 ${3 * size + 512} 512`,
      `write -z ${4 * size} ${size}`,
    );
  },
}));

const zstd = CLUSTER_SIZES.map((size) => ({
  name: `compressed-zstd-${size}`,
  make(bench) {
    const length = Math.max(100 * KiB, 3 * size) + 2560;
    // runs shorter than a cluster: noise, text and zeros in one stream, which takes sequences of every kind
    const bytes = mixedDisk(size, length, Math.max(size / 4, 512));
    bench.convert(bytes, bench.image, `compression_type=zstd,cluster_size=${size}`, '-c');
    bench.io(bench.image, `write -P 6 ${size + 512} 512`);
  },
}));

const extended = [16 * KiB, 64 * KiB, 2 * MiB].map((size) => ({
  name: `extended-l2-${size}`,
  make(bench) {
    const sub = size / 32;
    bench.create(bench.image, 12 * size + 512, `extended_l2=on,cluster_size=${size}`);
    bench.io(
      bench.image,
      `write -P 1 0 ${sub}`,
      `write -P 2 ${31 * sub} ${2 * sub}`,
      `write -P 3 ${2 * size + 5 * sub} ${3 * sub}`,
      `write -P 4 ${2 * size + 9 * sub + 512} 512`,
      `write -z ${2 * size + 6 * sub} ${sub}`,
      `write -z ${3 * size} ${size}`,
      `write -P 5 ${3 * size + 16 * sub} ${sub}`,
      `write -P 6 ${4 * size} ${size}`,
      `discard ${4 * size + 8 * sub} ${8 * sub}`,
      `write -c -P 7 ${6 * size} ${size}`,
      `write -c -P 8 ${7 * size} ${size}`,
      `write -P 9 ${7 * size + 3 * sub} ${sub}`,
      `write -P 10 ${12 * size} 512`,
    );
  },
}));

const zeros = ['0.10', '1.1'].map((compat) => ({
  name: `zeros-${compat}`,
  make(bench) {
    const unit = 64 * KiB;
    bench.create(bench.image, 20 * unit, `compat=${compat}`);
    bench.io(
      bench.image,
      `write -P 1 0 ${12 * unit}`,
      `write -z ${unit} ${2 * unit}`,
      `write -z -u ${4 * unit} ${3 * unit}`,
      `discard ${8 * unit} ${2 * unit}`,
      `write -z ${14 * unit} ${unit}`,
      `write -z -u ${16 * unit} ${unit}`,
      `discard ${18 * unit} ${unit}`,
    );
  },
}));

const dataFiles = ['on', 'off'].map((raw) => ({
  name: `data-file-raw-${raw}`,
  files: ['data'],
  make(bench) {
    bench.create(bench.image, 3 * MiB + 512, `data_file=${bench.beside('data')},data_file_raw=${raw}`);
    bench.io(
      bench.image,
      'write -P 1 0 64k',
      'write -P 2 200k 300k',
      'write -z 256k 64k',
      'write -P 3 2m 1m',
      'write -z -u 2560k 128k',
      'discard 2816k 64k',
    );
  },
}));

const preallocated = ['metadata', 'falloc', 'full'].map((how) => ({
  name: `preallocation-${how}`,
  make(bench) {
    bench.create(bench.image, 2 * MiB + 1024, `preallocation=${how}`);
    bench.io(bench.image, 'write -P 1 100k 50k', 'write -z 512k 128k');
  },
}));

const huge = [64 * KiB, 2 * MiB].map((size) => ({
  name: `huge-${size}`,
  windows: [
    [0, 3 * MiB],
    [TiB - MiB, 2 * MiB],
    [5 * TiB + 123 * 512 - 4096, 12 * KiB],
    [8 * TiB - 2 * MiB, 2 * MiB],
  ],
  make(bench) {
    bench.create(bench.image, 8 * TiB, `cluster_size=${size}`);
    bench.io(
      bench.image,
      'write -P 1 1m 100k',
      `write -P 2 ${TiB - 64 * KiB} 128k`,
      `write -P 3 ${5 * TiB + 123 * 512} 512`,
      `write -P 4 ${8 * TiB - 64 * KiB} 64k`,
    );
  },
}));

const sizes = [0, 512, 65_536, 1_000_003, 5 * 512].map((size) => ({
  name: `size-${size}`,
  make(bench) {
    bench.create(bench.image, size, 'cluster_size=4k');
    if (size > 512) bench.io(bench.image, `write -P 9 512 ${size === 1_000_003 ? 999_936 : 512}`);
  },
}));

const marks = [
  {
    name: 'lazy-refcounts',
    make(bench) {
      bench.create(bench.image, MiB, 'lazy_refcounts=on');
      bench.io(bench.image, 'write -P 1 64k 300k');
    },
  },
  {
    name: 'dirty',
    make(bench) {
      bench.create(bench.image, MiB, 'lazy_refcounts=on');
      bench.crash(bench.image, 'write -P 1 64k 300k', 'flush');
    },
  },
  {
    name: 'corrupt-bit',
    make(bench) {
      bench.create(bench.image, MiB);
      bench.io(bench.image, 'write -P 1 64k 300k');
      bench.patch(bench.image, 79, [2]); // the last byte of the incompatible features: bit 1
    },
  },
  {
    name: 'header-104',
    make(bench) {
      bench.convert(mixedDisk(104, MiB, 64 * KiB), bench.image);
      bench.patch(bench.image, 103, [104]); // header_length; the field that it cuts off is zero
      bench.patch(bench.image, 104, Buffer.alloc(512)); // no extensions: the end marker at once
    },
  },
  {
    name: 'header-104-extensions',
    make(bench) {
      bench.convert(mixedDisk(105, MiB, 64 * KiB), bench.image);
      const head = bench.read(bench.image).subarray(112, 1024);
      bench.patch(bench.image, 103, [104]);
      bench.patch(bench.image, 104, head);
    },
  },
  {
    name: 'virtual-size-odd',
    make(bench) {
      bench.convert(mixedDisk(106, MiB, 64 * KiB), bench.image);
      const size = Buffer.alloc(8);
      size.writeBigUInt64BE(BigInt(MiB - 65));
      bench.patch(bench.image, 24, size);
    },
  },
  {
    name: 'fragmented',
    make(bench) {
      bench.create(bench.image, 2 * MiB, 'cluster_size=4k');
      const order = Array.from({ length: 512 }, (_, i) => (i * 211) % 512);
      bench.io(bench.image, ...order.filter((i) => i % 5).map((i) => `write -q -P ${i % 256} ${i * 4096} 4096`));
    },
  },
];

const encrypted = ['aes', 'luks'].map((format) => ({
  name: `encrypted-${format}`,
  unsupported: true,
  secret: 'golden',
  make(bench) {
    // sha512 is slower than the default: the longer QEMU's measurement of it takes, the surer it ends with a figure.
    const iterations = format === 'luks' ? ',encrypt.iter-time=10,encrypt.hash-alg=sha512' : '';
    const options = `encrypt.format=${format},encrypt.key-secret=key${iterations}`;
    bench.img('create', '-q', '-f', 'qcow2', ...bench.key('golden'), '-o', options, bench.image, '1m');
    bench.ioKeyed('golden', 'write -P 1 64k 200k', 'write -z 512k 64k');
  },
}));

/** Every golden image. `windows` are the guest ranges compared when the whole would be too much. */
export const recipes = [
  ...clusterSizes,
  ...refcounts,
  ...compressed,
  ...zstd,
  ...extended,
  ...zeros,
  ...dataFiles,
  ...preallocated,
  ...huge,
  ...sizes,
  ...marks,
  ...encrypted,
  ...backingRecipes,
  ...stateRecipes,
];
