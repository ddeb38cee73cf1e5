/**
 * Repairs beside those of `qemu-img check -r all`: of many damaged images none may be worse. The figures of the checks
 * before are compared as well.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { QemuFolder } from '../support/qemu.js';
import {
  type Checks,
  type Comparison,
  compareRepairs,
  type Expected,
  inWords,
  type KeptByQemu,
} from './compare-repairs.js';
import {
  brokenFields,
  brokenRules,
  type DamagedImage,
  damagedProducts,
  flippedBits,
  isForQemu,
  oneDamage,
  oneIn,
  randomBytes,
  randomDamage,
} from './damaged-images.js';
import { otherFile } from './products.js';

const folder = new QemuFolder('versus');
folder.put('base.raw', otherFile);
folder.put('data.raw', otherFile);
const files = { backing: otherFile, data: otherFile };

/** How many images are damaged at random. Each costs six runs of qemu-img or more. */
const ROUNDS = Number(process.env.QCOW2_DAMAGES ?? 2);

/** What QEMU's repair keeps and ours rightly does not. */
const expectedLosses: readonly { reason: string; is: (kept: KeptByQemu) => boolean }[] = [
  {
    reason: 'An entry of the guest leads to metadata. QEMU counts it twice, and shows tables to the guest.',
    is: ({ said }) => said?.endsWith('metadata') ?? false,
  },
  {
    reason: 'The id of a snapshot lies behind extra data of an invalid length. QEMU keeps a snapshot without an id.',
    is: ({ where, said }) => where === 'snapshot ""' && said !== null,
  },
  {
    reason: 'The guest sees a bitmap directory. QEMU, which could not open the image before, marks its bitmaps in use.',
    is: ({ dropped, wasReadable }) => !wasReadable && dropped.includes('The bitmap directory overlaps other metadata.'),
  },
];

/** Where QEMU's repair ends with a clean image and ours is refused. */
const expectedRefusals: readonly { reason: string; is: (message: string) => boolean }[] = [
  {
    reason: 'The active L1 table is past the end of the file. QEMU takes it for zeros: nothing of the disk is left.',
    is: (message) => /lies past the end of the file/.test(message),
  },
];

/** Where the figures of the two checks differ. */
const expectedFigures: readonly { reason: string; is: (checks: Checks) => boolean }[] = [
  {
    reason: 'qemu-img cannot open the image: of bitmaps, extensions, encryption, or a dirty image that it repairs.',
    is: ({ qemu }) => qemu === null,
  },
  {
    reason: 'Here an image is refused whose header or active L1 table cannot be read. QEMU leaves that to its check.',
    is: ({ own }) => own === null,
  },
  {
    reason: 'Of a snapshot table that cannot be read QEMU counts what it discards, and here it is one check error.',
    is: ({ own }) => own?.findings.some(({ fault }) => fault === 'snapshot-table') ?? false,
  },
];

const lists: readonly [string, () => Iterable<DamagedImage>][] = [
  ['one damage', oneDamage],
  ['random damage to tables', () => randomDamage(Math.ceil(ROUNDS / 3))],
  ['random damage to products', () => damagedProducts(Math.ceil(ROUNDS / 2))],
  ['broken rules', brokenRules],
  ['broken fields', () => oneIn(Math.ceil(300 / ROUNDS), brokenFields())],
  ['flipped bits', () => flippedBits(Math.ceil(4000 / ROUNDS))],
  ['random bytes', () => randomBytes(2 * ROUNDS)],
];

const counts = { agree: 0, better: 0, worse: 0, neither: 0 };
afterAll(() => process.stdout.write(`Repairs beside QEMU's: ${JSON.stringify(counts)}\n`));

const expected: Expected = {
  loss: (kept) => expectedLosses.some(({ is }) => is(kept)),
  refusal: (message) => expectedRefusals.some(({ is }) => is(message)),
};

function expectSameFigures({ checks }: Comparison, name: string): void {
  const [qemu, own] = [inWords(checks.qemu), inWords(checks.own)];
  if (qemu !== own && !expectedFigures.some(({ is }) => is(checks))) expect(own, name).toBe(qemu);
}

describe(`${ROUNDS} rounds`, () => {
  test.each(lists)('%s', { timeout: 120_000 * Math.ceil(ROUNDS / 10) }, async (_, images) => {
    const worse: string[] = [];
    let repaired = 0;
    for (const { name, bytes } of images()) {
      if (!isForQemu(bytes)) continue;
      const comparison = await compareRepairs(folder, bytes, files, expected);
      expectSameFigures(comparison, name);
      const { verdict, reason } = comparison;
      counts[verdict]++;
      if (verdict === 'worse') worse.push(`${name}: ${reason}`);
      if (verdict === 'agree' || verdict === 'better') repaired++;
    }
    expect(worse).toEqual([]);
    expect(repaired).toBeGreaterThan(0);
  });
});
