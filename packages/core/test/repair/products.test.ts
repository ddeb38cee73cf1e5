/** Repairs of images with several features at once, damaged at random in any structure. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bufferDevice } from '../../src/index.js';
import { repairDevice } from '../../src/verbs/repair/repair.js';
import { mixed } from '../check/damages.js';
import { get, put } from '../support/big-endian.js';
import type { BuiltImage, ImagePlan } from '../support/image-builder.js';
import { noiseOf, numbers } from '../support/numbers.js';
import { QemuFolder } from '../support/qemu.js';
import { qemuChecks } from '../support/qemu-check.js';
import { expectWhatWasLeft, type Files } from './what-was-left.js';

const folder = new QemuFolder('repair-products');
const base = noiseOf(77, 1024 * 4096);
folder.put('base.raw', base);
folder.put('data.raw', base);
const files: Files = { backing: base, data: base };

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

export const kinds: readonly ImagePlan[] = [
  { snapshots, bitmaps, autoclear: 1n },
  { snapshots, backingName: 'base.raw' },
  { version: 2, snapshots, backingName: 'base.raw' },
  { refcountOrder: 6, snapshots, bitmaps, autoclear: 1n },
  { refcountOrder: 0, bitmaps, autoclear: 1n },
  { clusterBits: 16, extendedL2: true, snapshots, backingName: 'base.raw', size: 64 * 65_536 },
  { clusterBits: 9, size: 1024 * 512, snapshots, bitmaps, autoclear: 1n },
  { incompatible: 1n, compatible: 1n, snapshots },
  external,
  { ...external, autoclear: 2n },
];

/** Offsets of 8-byte words of every structure but the header. */
export function wordsOf(image: BuiltImage): number[] {
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

export function harm(image: BuiltImage, words: readonly number[], next: () => number): void {
  const at = words[next() % words.length]!;
  const cluster = BigInt(next() % (image.bytes.length / image.clusterSize + 3)) * BigInt(image.clusterSize);
  const choice = next() % 5;
  if (choice === 0) image.bytes[at + (next() % 8)]! ^= 1 << (next() % 8);
  else if (choice === 1) put(image.bytes, at, 8, cluster | COPIED);
  else if (choice === 2) put(image.bytes, at, 8, cluster);
  else if (choice === 3) put(image.bytes, at, 8, 0);
  else put(image.bytes, at, 8, get(image.bytes, words[next() % words.length]!, 8));
}

/** Images of each kind; each costs a run of qemu-img. */
const ROUNDS = Number(process.env.QCOW2_DAMAGES ?? 10);

describe('damage at random', () => {
  test.each(kinds.map((plan, index) => ({ plan, index })))('of kind $index: $plan', async ({ plan, index }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const next = numbers(index * 1000 + round);
      const image = mixed(plan);
      const words = wordsOf(image);
      for (let i = next() % 3; i >= 0; i--) harm(image, words, next);
      const device = bufferDevice(image.bytes);
      const where = `kind ${index}, round ${round}`;
      const report = await repairDevice(device, { fix: 'all' });
      expect(report.after.findings, where).toEqual([]);
      folder.put('repaired.qcow2', device.bytes());
      const theirs = qemuChecks(folder.path, 'repaired.qcow2');
      rmSync(folder.at('repaired.qcow2'));
      expect(theirs, where).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
      await expectWhatWasLeft(image.bytes, device.bytes(), report, files, where);
    }
  });
});
