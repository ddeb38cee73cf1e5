/** The results of the turns of compaction, beside those of the bare copy. */
import { takeTurns } from './measure.js';
import { MOVED_BYTES } from './space.js';

/** @typedef {import('./report.js').Result} Result */
/** @typedef {import('./space.js').SpaceTurn} SpaceTurn */

/** The time that a read may take beyond the flushes of one batch, seconds. */
const ALLOWANCE = 0.005;

/** @param {number} share from 0 to 1 @param {readonly number[]} times */
const quantile = (share, times) => [...times].sort((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? 0;

/**
 * Runs a compaction, one beside reads, and a copy in turns.
 *
 * @param {string} where
 * @param {(how: import('./space.js').SpaceWork) => Promise<SpaceTurn>} turn
 * @param {number} rounds
 * @returns {Promise<Result[]>}
 */
export async function compactionResults(where, turn, rounds) {
  /** @type {SpaceTurn[]} */
  const beside = [];
  /** @type {SpaceTurn[]} */
  const copies = [];
  const times = await takeTurns(
    {
      ours: async () => (await turn('compact')).seconds,
      beside: async () => {
        beside.push(await turn('compact and read'));
        return /** @type {SpaceTurn} */ (beside.at(-1)).seconds;
      },
      raw: async () => {
        copies.push(await turn('copy'));
        return /** @type {SpaceTurn} */ (copies.at(-1)).seconds;
      },
    },
    rounds,
  );
  const of = { where, bytes: MOVED_BYTES, reads: 1, calls: 1 };
  const slowest = beside.slice(1).map(({ reads }) => quantile(0.99, reads));
  const allowed = copies.slice(1).map(({ flushes }) => quantile(0.5, flushes) + ALLOWANCE);
  return [
    {
      ...of,
      name: 'compact 1 GiB, half discarded, beside a copy',
      ours: times.ours,
      raw: { seconds: times.raw, goal: 1.25 },
    },
    {
      ...of,
      name: 'the same with reads beside it, beside it alone',
      ours: times.beside,
      raw: { seconds: times.ours, goal: 2 },
    },
    {
      ...of,
      bytes: 4096,
      name: "99th percentile of those 4 KiB reads, beside a batch's flushes and 5 ms",
      ours: slowest,
      raw: { seconds: allowed, goal: 1 },
    },
  ];
}
