/**
 * Images with a few random bytes changed: each gets a typed error or an answer to whatever is asked of it, and what it
 * reads is what qemu-img reads.
 *
 * `QCOW2_FUZZ` sets how many images are tried, `QCOW2_FUZZ_SEED` where the random numbers start. A failure names the
 * seed of its image, with which `QCOW2_FUZZ=1 QCOW2_FUZZ_SEED=...` repeats it alone.
 */
import { expect, test } from 'vitest';
import { QemuFolder } from '../support/qemu.js';
import { extendedImage, oldImage, plainImage, richImage } from './bases.js';
import { change } from './change.js';
import { handle } from './handle.js';
import { isHarmless, qemuReads } from './oracle.js';
import { damage } from './random-damage.js';
import { structuresOf } from './structures.js';

const folder = new QemuFolder('fuzz');
const COUNT = Number(process.env.QCOW2_FUZZ ?? 260);
const SEED = Number(process.env.QCOW2_FUZZ_SEED ?? 20_261_122);
/** One in so many of the images that read is also shown to qemu-img, which takes some fifty times as long. */
const ORACLE_EVERY = COUNT === 1 ? 1 : COUNT < 10_000 ? 4 : 40;

const bases = [richImage(), plainImage(), oldImage(), extendedImage()].map(({ bytes }) => ({
  bytes,
  structures: structuresOf(bytes),
}));

function fuzz(seed: number): Uint8Array {
  const { bytes, structures } = bases[seed % bases.length]!;
  const file = bytes.slice();
  for (const { at, value } of damage(seed, bytes, structures)) file[at] = value;
  return file;
}

test('qemu-img reads the undamaged images as this library does', async () => {
  for (const { bytes } of bases) {
    const wanted = qemuReads(folder, bytes);
    expect(wanted).not.toBeNull();
    expect(Buffer.compare((await handle(bytes)).read as Uint8Array, wanted!)).toBe(0);
  }
});

test(`${COUNT} images from seed ${SEED} on`, { timeout: 60_000 + COUNT * 100 }, async () => {
  const tally = { opened: 0, read: 0, compared: 0 };
  for (let i = 0; i < COUNT; i++) {
    const seed = SEED + i;
    const file = fuzz(seed);
    const broke = (cause: unknown) => {
      throw new Error(`the image of seed ${seed} broke the engine: ${cause}`, { cause });
    };
    const outcome = await handle(file).catch(broke);
    await change(file).catch(broke);
    if (outcome.open === 'opened') tally.opened++;
    if (!(outcome.read instanceof Uint8Array)) continue;
    tally.read++;
    if (tally.read % ORACLE_EVERY > 0 || !isHarmless(file)) continue;
    const wanted = qemuReads(folder, file);
    if (!wanted) continue;
    tally.compared++;
    expect(Buffer.compare(outcome.read, wanted), `the image of seed ${seed} reads as qemu-img reads it`).toBe(0);
  }
  if (COUNT < 100) return;
  // else the changes are too weak, or so strong that nothing past the header is ever reached
  expect(tally.opened).toBeGreaterThan(COUNT / 5);
  expect(tally.opened).toBeLessThan(COUNT);
  expect(tally.read).toBeGreaterThan(COUNT / 20);
  expect(tally.compared).toBeGreaterThan(tally.read / ORACLE_EVERY / 3);
});
