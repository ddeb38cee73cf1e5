/** Images with several features at once, and random damage to any of their structures. */
import { mixed } from '../check/damages.js';
import { get, put } from '../support/big-endian.js';
import type { BuiltImage, ImagePlan } from '../support/image-builder.js';
import { noiseOf, numbers } from '../support/numbers.js';

/** The bytes of the files that the images name: base.raw, the backing file, and data.raw, the data file. */
export const otherFile = noiseOf(77, 1024 * 4096);

const snapshots = [
  { id: '1', name: 'one' },
  { id: '2', name: 'two' },
];
const bitmaps = [
  { name: 'set', flags: 2, bits: new Uint8Array(64).fill(0xff) },
  { name: 'clear', flags: 0, bits: null },
];
const COPIED = 1n << 63n;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const external: ImagePlan = {
  incompatible: 4n,
  extensions: [{ type: 0x44415441, data: utf8('data.raw') }],
  clusters: new Map([0, 1, 4, 1000].map((index) => [index, { kind: 'entry', entry: COPIED | BigInt(index * 4096) }])),
};

/** The kinds of image. */
export const kinds: readonly ImagePlan[] = [
  { snapshots, bitmaps, autoclear: 1n },
  { snapshots, backingName: 'base.raw' },
  { version: 2, snapshots, backingName: 'base.raw' },
  { refcountOrder: 6, snapshots, bitmaps, autoclear: 1n },
  { refcountOrder: 0, bitmaps, autoclear: 1n },
  { clusterBits: 14, extendedL2: true, snapshots, backingName: 'base.raw', size: 64 * 16_384 },
  { clusterBits: 9, size: 1024 * 512, snapshots, bitmaps, autoclear: 1n },
  { incompatible: 1n, compatible: 1n, snapshots },
  external,
  { ...external, autoclear: 2n },
];

/** Offsets of 8-byte words of every structure but the header. */
function wordsOf(image: BuiltImage): number[] {
  const words: number[] = [];
  const add = (at: number, count: number) => {
    for (let word = 0; word < count; word++) words.push(at + word * 8);
  };
  add(image.l1, image.l1Entries);
  add(image.refcountTable, 4);
  for (const block of image.refcountBlocks) add(block, 8);
  add(image.entryAt(0), 10);
  add(image.entryAt(1000), 2);
  if (image.snapshotTable > 0) {
    add(image.snapshotTable, 16);
    add(Number(get(image.bytes, image.snapshotTable, 8)), image.l1Entries);
  }
  const extension = image.extensions.find((at) => get(image.bytes, at, 4) === 0x23852875n);
  if (extension !== undefined) {
    const directory = Number(get(image.bytes, extension + 24, 8));
    add(extension + 8, 3);
    add(directory, 4);
    add(Number(get(image.bytes, directory, 8)), 1);
  }
  return words.filter((at) => at + 8 <= image.bytes.length);
}

function harm(image: BuiltImage, words: readonly number[], next: () => number): void {
  const at = words[next() % words.length]!;
  const cluster = BigInt(next() % (image.bytes.length / image.clusterSize + 3)) * BigInt(image.clusterSize);
  const choice = next() % 5;
  if (choice === 0) image.bytes[at + (next() % 8)]! ^= 1 << (next() % 8);
  else if (choice === 1) put(image.bytes, at, 8, cluster | COPIED);
  else if (choice === 2) put(image.bytes, at, 8, cluster);
  else if (choice === 3) put(image.bytes, at, 8, 0);
  else put(image.bytes, at, 8, get(image.bytes, words[next() % words.length]!, 8));
}

/** An image of a kind after one to three damages, other ones in each round. */
export function damagedProduct(index: number, round: number): BuiltImage {
  const next = numbers(index * 1000 + round);
  const image = mixed(kinds[index]!);
  const words = wordsOf(image);
  for (let i = next() % 3; i >= 0; i--) harm(image, words, next);
  return image;
}
