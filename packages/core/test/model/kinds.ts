/** Owns the kinds of images that the model tests write to: how QEMU's tools make each, and what its disk holds then. */
import { mixedDisk } from '../support/numbers.js';
import type { QemuFolder } from '../support/qemu.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** What stands behind the disk when the test begins. */
export type Start =
  | 'empty'
  /** Some of it was written, and a snapshot was taken twice. */
  | 'snapshots'
  /**
   * So much of it was written that the refcount table must soon move, where clusters are of 512 bytes and refcounts of
   * 64 bits.
   */
  | 'nearly-full'
  /** All of it is compressed. */
  | 'compressed'
  /** Over a raw file that is shorter than the disk, or longer. */
  | 'raw-shorter'
  | 'raw-longer'
  /**
   * Over a compressed qcow2 image that is shorter, over a raw file; or over one that is longer, with clusters called
   * zero.
   */
  | 'qcow2-shorter'
  | 'qcow2-longer';

/** A kind of image. */
export interface Kind {
  readonly name: string;
  /** For `qemu-img create -o`. */
  readonly options: string;
  readonly start: Start;
  /** Virtual size, bytes. */
  readonly size: number;
  readonly clusterSize: number;
  /** The unit of allocation, bytes. */
  readonly unit: number;
  /** Version 2 cannot say "zeros" over a backing file: there discard does nothing. */
  readonly discards: boolean;
  readonly dataFile: boolean;
  /** A bitmap follows what is written. */
  readonly bitmap: boolean;
}

/** An image that was made: its bytes, those of its data file, the disk, and what its snapshots hold, by name. */
export interface Made {
  readonly image: Uint8Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer> | null;
  readonly disk: Uint8Array<ArrayBuffer>;
  readonly snapshots: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** The files behind it, by name. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

function kind(options: string, start: Start = 'empty', bitmap: boolean = false): Kind {
  const text = /cluster_size=(\d+)([kM]?)/.exec(options);
  const clusterSize = text === null ? 64 * KIB : Number(text[1]) * { '': 1, k: KIB, M: MIB }[text[2] as '' | 'k' | 'M'];
  const backed = start.startsWith('raw-') || start.startsWith('qcow2-');
  return {
    name: `${options === '' ? 'defaults' : options}, ${start}${bitmap ? ', bitmap' : ''}`,
    options,
    start,
    // Long enough for a few clusters, and never a multiple of one.
    size: (start === 'nearly-full' ? 3 * MIB : Math.max(MIB, clusterSize * 5)) + 512 * 37,
    clusterSize,
    unit: options.includes('extended_l2') ? clusterSize / 32 : clusterSize,
    discards: !(backed && options.includes('0.10')),
    dataFile: options.includes('data_file='),
    bitmap,
  };
}

/** Every kind: cluster sizes, refcount widths, versions, features, and what is on the disk before. */
export const KINDS: readonly Kind[] = [
  ...['512', '1k', '2k', '4k', '8k', '16k', '32k', '64k', '128k', '256k', '512k', '1M', '2M'].map((size) =>
    kind(`cluster_size=${size}`),
  ),
  ...[1, 2, 4, 8, 32, 64].map((bits) => kind(`cluster_size=512,refcount_bits=${bits}`)),
  kind('cluster_size=4k,compat=0.10'),
  kind('cluster_size=64k,compat=0.10', 'snapshots'),
  kind('cluster_size=4k,compat=0.10', 'compressed'),
  kind('cluster_size=4k,compat=0.10', 'raw-shorter'),
  kind('cluster_size=4k,compat=0.10', 'qcow2-longer'),
  kind('cluster_size=4k,lazy_refcounts=on'),
  kind('cluster_size=512,lazy_refcounts=on', 'snapshots'),
  kind('cluster_size=4k,preallocation=metadata'),
  kind('cluster_size=16k,preallocation=metadata,extended_l2=on'),
  kind('cluster_size=16k,extended_l2=on'),
  kind('cluster_size=128k,extended_l2=on'),
  kind('cluster_size=2M,extended_l2=on'),
  kind('cluster_size=16k,extended_l2=on', 'snapshots'),
  kind('cluster_size=16k,extended_l2=on', 'compressed'),
  kind('cluster_size=16k,extended_l2=on', 'raw-shorter'),
  kind('cluster_size=64k,extended_l2=on', 'qcow2-longer'),
  kind('cluster_size=512', 'snapshots'),
  kind('cluster_size=4k', 'snapshots'),
  kind('cluster_size=4k', 'compressed'),
  kind('cluster_size=64k', 'compressed'),
  kind('cluster_size=4k,compression_type=zstd', 'compressed'),
  kind('cluster_size=2k', 'raw-shorter'),
  kind('cluster_size=64k', 'raw-longer'),
  kind('cluster_size=4k', 'qcow2-shorter'),
  kind('cluster_size=4k', 'qcow2-longer'),
  kind('cluster_size=4k,data_file=data.raw'),
  kind('cluster_size=64k,data_file=data.raw,data_file_raw=on'),
  kind('cluster_size=16k,extended_l2=on,data_file=data.raw'),
  kind('cluster_size=4k,data_file=data.raw', 'raw-shorter'),
  ...(['', ',lazy_refcounts=on'] as const).flatMap((lazy) => [
    kind(`cluster_size=512,refcount_bits=64${lazy}`, 'nearly-full'),
    kind(`cluster_size=512,refcount_bits=64${lazy}`, 'nearly-full', true),
    kind(`cluster_size=512,refcount_bits=64${lazy}`, 'snapshots', true),
    kind(`cluster_size=512${lazy}`, 'raw-shorter', true),
    kind(`cluster_size=512${lazy}`, 'compressed', true),
    kind(`cluster_size=16k,extended_l2=on${lazy}`, 'qcow2-shorter', true),
    kind(`cluster_size=512,data_file=data.raw${lazy}`, 'empty', true),
  ]),
  kind('cluster_size=512,lazy_refcounts=on', 'raw-shorter'),
  kind('cluster_size=512,lazy_refcounts=on', 'compressed'),
  kind('cluster_size=16k,extended_l2=on,lazy_refcounts=on', 'snapshots'),
  kind('cluster_size=16k,extended_l2=on,lazy_refcounts=on', 'compressed'),
  kind('cluster_size=16k,extended_l2=on,lazy_refcounts=on,data_file=data.raw'),
  kind('cluster_size=4k,lazy_refcounts=on,data_file=data.raw,data_file_raw=on'),
];

/** Makes an image of the kind, in files that the folder keeps for those who look through it. */
export function make(folder: QemuFolder, { options, start, size, clusterSize, unit, dataFile, bitmap }: Kind): Made {
  const create = (file: string, length: number, ...args: string[]) =>
    folder.img('create', '-q', '-f', 'qcow2', ...args, file, String(length));
  const set = options === '' ? [] : ['-o', options];
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const snapshots = new Map<string, Uint8Array<ArrayBuffer>>();
  const keep = (file: string) => files.set(file, folder.get(file));
  if (start === 'compressed') {
    folder.put('source.raw', mixedDisk(3, size, 1536));
    folder.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', ...set, 'source.raw', 'image.qcow2');
  } else if (start === 'raw-shorter' || start === 'raw-longer') {
    folder.put('base.raw', mixedDisk(4, start === 'raw-longer' ? size + 3 * 512 : size - 333 * 512, 1536));
    keep('base.raw');
    create('image.qcow2', size, ...set, '-b', 'base.raw', '-F', 'raw');
  } else if (start === 'qcow2-shorter') {
    folder.put('base.raw', mixedDisk(5, size - 555 * 512, 1536));
    folder.img('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=8k', 'base.raw', 'lowest.qcow2');
    create('base.qcow2', size - 444 * 512, '-b', 'lowest.qcow2', '-F', 'qcow2');
    folder.io('base.qcow2', 'write -P 5 100k 70k', 'write -z 300k 64k');
    keep('lowest.qcow2');
    keep('base.qcow2');
    create('image.qcow2', size, ...set, '-b', 'base.qcow2', '-F', 'qcow2');
  } else if (start === 'qcow2-longer') {
    folder.put('base.raw', mixedDisk(6, size + 100 * 512, 1536));
    folder.img('convert', '-f', 'raw', '-O', 'qcow2', 'base.raw', 'base.qcow2');
    folder.io('base.qcow2', 'write -z 200k 128k', 'write -z -u 500k 64k');
    keep('base.qcow2');
    create('image.qcow2', size, ...set, '-b', 'base.qcow2', '-F', 'qcow2');
  } else create('image.qcow2', size, ...set);
  if (start === 'snapshots') {
    const half = Math.floor(size / 2 / unit) * unit;
    // What the snapshots share lies behind free clusters, so that compaction moves it.
    const junk = [half + 2 * unit, Math.min(size - half - 2 * unit, Math.max(clusterSize, 64 * KIB))].join(' ');
    folder.io('image.qcow2', `write -P 9 ${junk}`);
    folder.io(
      'image.qcow2',
      `write -P 1 0 ${half}`,
      `write -P 2 ${half + unit} ${Math.min(unit, 512)}`,
      `discard ${junk}`,
    );
    folder.img('snapshot', '-c', 'first', 'image.qcow2');
    snapshots.set('first', folder.raw('image.qcow2'));
    folder.io('image.qcow2', `write -P 3 ${clusterSize} ${clusterSize}`, `discard 0 ${clusterSize}`);
    folder.img('snapshot', '-c', 'second', 'image.qcow2');
    snapshots.set('second', folder.raw('image.qcow2'));
  }
  // 3,800 clusters of 4,096, and their metadata.
  if (start === 'nearly-full') folder.io('image.qcow2', 'write -P 1 0 1900k');
  if (bitmap) folder.img('bitmap', '--add', 'image.qcow2', 'follows');
  const image = folder.get('image.qcow2');
  return { image, data: dataFile ? folder.get('data.raw') : null, disk: folder.raw('image.qcow2'), snapshots, files };
}
