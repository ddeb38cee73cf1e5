/** Lists damaged images of every kind that the tests of checks, repairs and hostile files have. */
import { bytesAfter, damagedAtRandom, damages, mixed, plans } from '../check/damages.js';
import { extendedImage, oldImage, overlayImage, plainImage, richImage } from '../hostile/bases.js';
import { damages as bitDamages, flipped, subjects } from '../hostile/damaged-entries.js';
import { mappingRules, writerRules } from '../hostile/entry-rules.js';
import {
  type Breakage,
  bitmapsExtension,
  commonHeader,
  extensions,
  l1Entries,
  l2Entries,
  snapshotTable,
  subclusterBitmaps,
  versionThreeHeader,
} from '../hostile/fields.js';
import { damage } from '../hostile/random-damage.js';
import { extensionRules, headerRules, snapshotRules } from '../hostile/rules.js';
import { structuresOf } from '../hostile/structures.js';
import { bitmapTables, cryptoHeader, cuts, refcounts, snapshotL1 } from '../hostile/tables.js';
import { get } from '../support/big-endian.js';
import type { BuiltImage } from '../support/image-builder.js';
import { damagedProduct, kinds } from './products.js';

/** A damaged image, and what was done to it. */
export interface DamagedImage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const common = [commonHeader, refcounts, l1Entries, l2Entries];
const rich = [extensions, bitmapsExtension, cryptoHeader, snapshotTable, snapshotL1, bitmapTables];

const fields: readonly [string, BuiltImage, readonly ((image: BuiltImage) => Breakage[])[]][] = [
  ['rich', richImage(), [...common, versionThreeHeader, ...rich]],
  ['plain', plainImage(), [...common, versionThreeHeader]],
  ['version 2', oldImage(), common],
  ['extended L2', extendedImage(), [...common, subclusterBitmaps]],
  ['overlay', overlayImage(), [extensions]],
];

/** Each damage of one kind. */
export function* oneDamage(): Generator<DamagedImage> {
  for (const { name, plan, harm } of damages) {
    const image = mixed(plan);
    yield { name, bytes: bytesAfter(harm(image), image) };
  }
}

/** Random damage to tables, `rounds` images of each plan. */
export function* randomDamage(rounds: number): Generator<DamagedImage> {
  for (const [index, plan] of plans.entries()) {
    for (let round = 0; round < rounds; round++) {
      yield { name: `plan ${index}, round ${round}`, bytes: damagedAtRandom(plan, index * 1000 + round) };
    }
  }
}

/** Random damage to any structure of images with several features, `rounds` images of each kind. */
export function* damagedProducts(rounds: number): Generator<DamagedImage> {
  for (const index of kinds.keys()) {
    for (let round = 0; round < rounds; round++) {
      yield { name: `kind ${index}, round ${round}`, bytes: damagedProduct(index, round).bytes };
    }
  }
}

/** Images that break one rule each. */
export function* brokenRules(): Generator<DamagedImage> {
  for (const { rule, file } of [...headerRules, ...extensionRules, ...snapshotRules, ...mappingRules, ...writerRules]) {
    yield { name: rule, bytes: file() };
  }
}

/** Images with one field changed, and images cut off. */
export function* brokenFields(): Generator<DamagedImage> {
  for (const [name, image, generators] of fields) {
    for (const { field, value, apply } of generators.flatMap((generate) => generate(image))) {
      const bytes = image.bytes.slice();
      apply(bytes);
      yield { name: `${name}: ${field} = ${value}`, bytes };
    }
    for (const length of cuts(image)) yield { name: `${name}, cut to ${length}`, bytes: image.bytes.slice(0, length) };
  }
}

/** Images with one bit of a table entry flipped, one bit in `step`. */
export function* flippedBits(step: number): Generator<DamagedImage> {
  let index = 0;
  for (const subject of subjects()) {
    for (const flip of bitDamages(subject)) {
      if (index++ % step > 0) continue;
      const { target, bit } = flip;
      yield {
        name: `${subject.name}: ${target.what} at ${target.at}, bit ${bit}`,
        bytes: flipped(subject.bytes, flip),
      };
    }
  }
}

/** Images with one to four random bytes changed. */
export function* randomBytes(count: number): Generator<DamagedImage> {
  for (let seed = 0; seed < count; seed++) {
    const { bytes } = fields[seed % fields.length]![1];
    const file = bytes.slice();
    for (const { at, value } of damage(seed, bytes, structuresOf(bytes))) file[at] = value;
    yield { name: `seed ${seed}`, bytes: file };
  }
}

const BACKING_FORMAT = Buffer.from('e2792aca', 'hex');

/** Every image in `step`, the first ones first. */
export function* oneIn(step: number, images: Iterable<DamagedImage>): Generator<DamagedImage> {
  let index = 0;
  for (const image of images) if (index++ % step === 0) yield image;
}

/**
 * True if qemu-img may see an image: it names no other files than those of the tests, base.raw and data.raw, no other
 * format than raw, and does not need a file that it does not name. A repair does not look at names.
 */
export function isForQemu(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes);
  if (file.length < 72) return true;
  const [at, length] = [Number(get(bytes, 8, 8)), Number(get(bytes, 16, 4))];
  const backing = file.toString('latin1', at, at + length);
  if (at !== 0 && length !== 0 && !['', 'base.raw'].includes(backing)) return false;
  const format = file.indexOf(BACKING_FORMAT);
  const isRaw = format < 0 || file.toString('latin1', format + 4, format + 11) === '\0\0\0\x03raw';
  if (backing !== '' && !isRaw) return false;
  const needsData = file.length >= 80 && (get(bytes, 72, 8) & 4n) !== 0n;
  if (needsData && !file.includes('DATA')) return false;
  for (let data = file.indexOf('DATA'); data >= 0; data = file.indexOf('DATA', data + 1)) {
    if (get(bytes, data + 4, 4) !== 8n || file.toString('latin1', data + 8, data + 16) !== 'data.raw') return false;
  }
  return true;
}
