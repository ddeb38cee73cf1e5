/** Damaged images, dehydrated: a check finds exactly what it found, and reports it in the same words. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bufferDevice, isQcow2Error, Qcow2Image } from '../../src/index.js';
import { loadGolden } from '../golden/golden.js';
import { extendedImage, oldImage, overlayImage, plainImage, richImage } from '../hostile/bases.js';
import { damage, withDamage } from '../hostile/random-damage.js';
import { structuresOf } from '../hostile/structures.js';
import { put } from '../support/big-endian.js';
import { dehydratedOf, rehydrated } from '../support/dehydrated.js';

const SEED = 20_261_130;
/** Damages of each image: of the golden ones, and of those made by hand. */
const DAMAGES = Number(process.env.QCOW2_DAMAGES ?? 10);
const GOLDEN = Math.ceil(DAMAGES / 10);
const BUILT = DAMAGES * 4;

/** Compares an image with its dehydrated copy; returns whether it has findings, undefined when it cannot be opened. */
async function compared(bytes: Uint8Array): Promise<boolean | undefined> {
  const image = await Qcow2Image.open(bytes).catch((error: unknown) => {
    if (isQcow2Error(error)) return null;
    throw error;
  });
  if (image === null) return undefined;
  const report = await image.check();
  const again = await Qcow2Image.open(await rehydrated(await dehydratedOf(image)));
  // As text, since there may be 65,536 findings.
  expect(JSON.stringify(await again.check()) === JSON.stringify(report)).toBe(true);
  expect(again.info).toEqual(image.info);
  return report.findings.length > 0;
}

async function comparedAll(bytes: Uint8Array, count: number): Promise<(boolean | undefined)[]> {
  const structures = structuresOf(bytes);
  const results: (boolean | undefined)[] = [];
  for (let seed = SEED; seed < SEED + count; seed++) {
    const flips = damage(seed, bytes, structures);
    await withDamage(bytes, flips, async () => results.push(await compared(bytes))).catch((cause: unknown) => {
      throw new Error(`seed ${seed} (${JSON.stringify(flips)}): ${cause}`, { cause });
    });
  }
  return results;
}

test('an image that opens for repair alone has its bitmap directory as a repair corrects it', async () => {
  const { bytes, extensions } = richImage();
  put(bytes, extensions[1]! + 24, 8, 2 ** 40); // the place of the directory
  await expect(Qcow2Image.open(bytes)).rejects.toMatchObject({ code: 'corrupt' });
  await using image = await Qcow2Image.open(bufferDevice(bytes), { mode: 'repair' });
  const { before } = await image.repair({ fix: 'all', dryRun: true });
  const again = await Qcow2Image.open(await rehydrated(await dehydratedOf(image)));
  expect(before?.findings).toMatchObject([{ fault: 'bitmap', count: 1 }]);
  for (const each of [image, again]) expect((await each.check()).findings).toEqual([]);
});

/** Of a LUKS image the key material is left out, where a damaged pointer leads to it as well. */
const goldens = loadGolden().filter(({ info }) => info['format-specific'].data.encrypt?.format !== 'luks');

test.each(goldens)('$name', async ({ file }) => {
  await comparedAll(new Uint8Array(readFileSync(file)), GOLDEN);
});

describe('images made by hand', () => {
  const images = { richImage, plainImage, oldImage, extendedImage, overlayImage };
  test.each(Object.entries(images))('%s', async (_, build) => {
    const results = await comparedAll(build().bytes, BUILT);
    expect(results.filter((found) => found === true).length).toBeGreaterThan(BUILT / 6);
    expect(results.filter((found) => found === undefined).length).toBeGreaterThan(0);
  });
});
