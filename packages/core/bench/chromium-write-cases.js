/**
 * The benchmark cases of writing in Chromium: the engine over OPFS, compared with a bare handle of the same file
 * system.
 */
import { withPage } from './chromium.js';
import { inOrder, stepped, takeTurns } from './measure.js';

/** @typedef {import('./report.js').Result} Result */
/** @typedef {import('playwright').Page} Page */

const KiB = 1024;
const MiB = 1024 * KiB;
/** Virtual size of the disk that is written, bytes. */
const SIZE = 128 * MiB;
/** Bytes that are written between two flushes. */
const BETWEEN_FLUSHES = 16 * MiB;

/**
 * @param {Page} page
 * @param {{ label: string, fresh: boolean, offsets: number[], length: number, goal?: number }} shape
 * @param {number} rounds
 * @returns {Promise<Result>}
 */
async function besideHandle(page, { label, fresh, offsets, length, goal }, rounds) {
  let calls = 0;
  /** @param {'engine' | 'bare'} how */
  const contender = (how) => async () => {
    const flushEvery = Math.max(1, BETWEEN_FLUSHES / length);
    const turn = JSON.stringify({ how, size: SIZE, fresh, offsets, length, flushEvery });
    /** @type {{ seconds: number, calls: number }} */
    const outcome = await page.evaluate(`bench.writeTurn(${turn})`);
    if (how === 'engine') calls = outcome.calls;
    return outcome.seconds;
  };
  const times = await takeTurns({ ours: contender('engine'), raw: contender('bare') }, rounds);
  return {
    ...{ where: 'Chromium, OPFS, writes', name: `${label} ${length / KiB} KiB`, ours: times.ours },
    ...{ bytes: offsets.length * length, reads: offsets.length, calls },
    raw: { seconds: times.raw, ...(goal === undefined ? {} : { goal }) },
  };
}

/**
 * Runs all cases of writing in Chromium.
 *
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export function chromiumWriteCases(rounds) {
  return withPage([], async (page) => {
    const results = [];
    for (const fresh of [true, false]) {
      const label = fresh ? 'fresh' : 'over';
      const cases = [
        { label: `${label}, in order`, offsets: inOrder(SIZE, MiB), length: MiB, goal: 1.3 },
        { label: `${label}, in order`, offsets: inOrder(SIZE, 64 * KiB), length: 64 * KiB, goal: 1.3 },
        { label: `${label}, random`, offsets: stepped(SIZE, 64 * KiB, 1_000), length: 64 * KiB, goal: 1.3 },
        { label: `${label}, random`, offsets: stepped(SIZE, 4 * KiB, 4_000), length: 4 * KiB },
      ];
      for (const shape of cases) results.push(await besideHandle(page, { ...shape, fresh }, rounds));
    }
    return results;
  });
}
