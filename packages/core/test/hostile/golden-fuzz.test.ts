/**
 * Every golden image with a few random bytes changed: whatever is asked of it, reading or writing, gets an answer or a
 * typed error.
 *
 * `QCOW2_FUZZ` sets how many images are tried, `QCOW2_FUZZ_SEED` where the random numbers start. A failure names the
 * golden image and the seed, with which `QCOW2_FUZZ=1 QCOW2_FUZZ_SEED=... vitest -t NAME` repeats it alone.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import type { ImageReference, Resolved } from '../../src/api/openable.js';
import { loadGolden } from '../golden/golden.js';
import { change } from './change.js';
import { handle } from './handle.js';
import { OverlayDevice } from './overlay-device.js';
import { damage, withDamage } from './random-damage.js';
import { structuresOf } from './structures.js';

const goldens = loadGolden();
const COUNT = Number(process.env.QCOW2_FUZZ ?? 240);
const SEED = Number(process.env.QCOW2_FUZZ_SEED ?? 20_261_124);
const EACH = Math.ceil(COUNT / goldens.length);

const tally = { tried: 0, opened: 0, read: 0, openedToWrite: 0, done: 0, refused: 0 };

test.each(goldens)('$name', { timeout: 60_000 + EACH * 1000 }, async ({ file, folder, files }) => {
  const bytes = new Uint8Array(readFileSync(file));
  const others = new Map(files.map((name) => [name, new Uint8Array(readFileSync(join(folder, basename(name))))]));
  const structures = structuresOf(bytes);
  const resolve = async ({ name, writable }: ImageReference): Promise<Resolved> => {
    const other = others.get(name);
    if (other === undefined) return undefined;
    return writable ? new OverlayDevice(other) : other;
  };
  for (let seed = SEED; seed < SEED + EACH; seed++) {
    const flips = damage(seed, bytes, structures);
    await withDamage(bytes, flips, async () => {
      const outcome = await handle(bytes, bytes.length, resolve);
      const changed = await change(bytes, resolve);
      tally.tried++;
      if (outcome.open === 'opened') tally.opened++;
      if (outcome.read instanceof Uint8Array) tally.read++;
      if (changed.open === 'opened') tally.openedToWrite++;
      tally.done += changed.done;
      tally.refused += changed.refused;
    }).catch((cause: unknown) => {
      throw new Error(`seed ${seed} (${JSON.stringify(flips)}): ${cause}`, { cause });
    });
  }
});

test('the damage reaches the structures behind the header', () => {
  if (COUNT < 100) return;
  expect(tally.opened).toBeGreaterThan(tally.tried / 5);
  expect(tally.opened).toBeLessThan(tally.tried);
  expect(tally.read).toBeGreaterThan(tally.tried / 10);
  expect(tally.openedToWrite).toBeGreaterThan(tally.tried / 10);
  expect(tally.done).toBeGreaterThan(tally.tried);
  expect(tally.refused).toBeGreaterThan(0);
});
