/** The images that are resized beside `qemu-img resize`, and the sizes that their disks get. */
import { mixedDisk } from '../support/numbers.js';
import type { QemuFolder } from '../support/qemu.js';

export const KIB = 1024;
export const MIB: number = 1024 * KIB;
export const GIB: number = 1024 * MIB;
/** Name of the image in its folder. */
export const IMAGE = 'image.qcow2';

/** An image, and the sizes that its disk gets one after the other. */
export interface Case {
  readonly name: string;
  readonly options: string;
  readonly size: number;
  readonly sizes: readonly number[];
  /** What is done to the new image in each folder. */
  readonly prepare?: (folder: QemuFolder) => void;
  readonly backing?: { readonly bytes: Uint8Array; readonly format: 'raw' | 'qcow2' };
  readonly compressed?: boolean;
  readonly bitmaps?: readonly string[];
  readonly snapshots?: readonly string[];
}

/** A command of qemu-io. */
export const write = (from: number, length: number, value: number): string => `write -P ${value} ${from} ${length}`;
/** Runs commands of qemu-io on the image of a folder. */
export const fill = (folder: QemuFolder, ...commands: string[]): void => void folder.io(IMAGE, ...commands);

/** Sizes for a disk of 1 MiB and some, at clusters of any size: within a cluster, by clusters, far, and back. */
const WALK = [
  MIB + 1024,
  MIB + 512 * 77,
  3 * MIB + 512,
  40 * MIB,
  3 * MIB + 512 * 5,
  2 * MIB,
  MIB,
  700 * KIB + 512,
  512,
  900 * KIB,
];

/** Some of those, for features that are tried with clusters of one size. */
const SHORT_WALK = [3 * MIB + 512, 40 * MIB, 700 * KIB + 512, 900 * KIB];

/** Writes here and there. */
export const FILLED = (folder: QemuFolder): void =>
  fill(folder, write(0, 300 * KIB, 1), write(512 * KIB, 400 * KIB, 2), write(MIB, 512, 3));

/** Every case. */
export const CASES: readonly Case[] = [
  ...['512', '4k', '64k', '2M'].map((cluster) => ({
    name: `clusters of ${cluster}`,
    options: `cluster_size=${cluster}`,
    size: MIB + 512,
    sizes: WALK,
    prepare: FILLED,
  })),
  ...['512', '64k'].map((cluster) => ({
    name: `version 2, clusters of ${cluster}`,
    options: `compat=0.10,cluster_size=${cluster}`,
    size: MIB + 512,
    sizes: SHORT_WALK,
    prepare: FILLED,
  })),
  ...['16k', '128k'].map((cluster) => ({
    name: `extended L2 entries, clusters of ${cluster}`,
    options: `extended_l2=on,cluster_size=${cluster}`,
    size: MIB + 512,
    sizes: SHORT_WALK,
    prepare: FILLED,
  })),
  ...['4k', '64k'].flatMap((cluster) =>
    ['off', 'on'].map((raw) => ({
      name: `a data file, ${raw === 'on' ? 'raw, ' : ''}clusters of ${cluster}`,
      options: `data_file=data.raw,data_file_raw=${raw},cluster_size=${cluster}`,
      size: MIB + 512,
      sizes: SHORT_WALK,
      prepare: FILLED,
    })),
  ),
  {
    name: 'lazy refcounts',
    options: 'lazy_refcounts=on,cluster_size=512',
    size: MIB + 512,
    sizes: SHORT_WALK,
    prepare: FILLED,
  },
  ...['1', '64'].map((bits) => ({
    name: `refcounts of ${bits} bits`,
    options: `refcount_bits=${bits},cluster_size=512`,
    size: MIB + 512,
    sizes: SHORT_WALK,
    prepare: FILLED,
  })),
  {
    name: 'metadata in advance',
    options: 'preallocation=metadata,cluster_size=4k',
    size: MIB + 512,
    sizes: SHORT_WALK,
  },
  { name: 'a disk of 0 bytes', options: '', size: 0, sizes: [512, 5 * MIB, 100 * GIB, 1024] },
  { name: 'a disk of 0 bytes, clusters of 512', options: 'cluster_size=512', size: 0, sizes: [512, 5 * MIB, 512] },
  {
    name: 'compressed',
    options: 'cluster_size=4k',
    size: MIB + 512,
    sizes: SHORT_WALK,
    compressed: true,
  },
  {
    name: 'a snapshot',
    options: 'cluster_size=4k',
    size: MIB + 512,
    sizes: SHORT_WALK,
    prepare: (folder) => {
      FILLED(folder);
      folder.img('snapshot', '-c', 'one', IMAGE);
      fill(folder, write(100 * KIB, 5000, 9));
    },
    snapshots: ['one'],
  },
  {
    name: 'snapshots of different sizes',
    options: 'cluster_size=512',
    size: MIB + 512,
    sizes: SHORT_WALK,
    prepare: (folder) => {
      FILLED(folder);
      folder.img('snapshot', '-c', 'one', IMAGE);
      folder.img('resize', '-f', 'qcow2', IMAGE, String(5 * MIB));
      fill(folder, write(4 * MIB, 5000, 9));
      folder.img('snapshot', '-c', 'two', IMAGE);
    },
    snapshots: ['one', 'two'],
  },
  ...(
    [
      ['512', '512'],
      ['64k', '65536'],
    ] as const
  ).map(([cluster, granularity]) => ({
    name: `bitmaps of granularity ${granularity}, clusters of ${cluster}`,
    options: `cluster_size=${cluster}`,
    size: MIB + 512,
    // A table of a bitmap moves, becomes shorter, and gives up its second cluster.
    sizes: [MIB + 1024, 150 * MIB, 100 * MIB, 700 * KIB + 512],
    prepare: (folder: QemuFolder) => {
      for (const name of ['follows', 'still', 'empty']) folder.img('bitmap', '--add', '-g', granularity, IMAGE, name);
      FILLED(folder);
      folder.img('bitmap', '--disable', IMAGE, 'still');
      folder.img('bitmap', '--clear', IMAGE, 'empty');
    },
    bitmaps: ['follows', 'still', 'empty'],
  })),
  ...(['raw', 'qcow2'] as const).flatMap((format) =>
    ['4k', '16k,extended_l2=on', '4k,data_file=data.raw'].map((cluster) => ({
      name: `a longer ${format} backing file, clusters of ${cluster}`,
      options: `cluster_size=${cluster}`,
      size: MIB + 512,
      sizes: [MIB + 1024, 3 * MIB + 512, MIB, 512 * 7, 4 * MIB],
      prepare: (folder: QemuFolder) => fill(folder, write(512 * KIB, 100 * KIB, 2)),
      backing: { bytes: mixedDisk(7, 3 * MIB, 1536), format },
    })),
  ),
];
