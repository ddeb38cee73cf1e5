/** The benchmark cases of compaction in Chromium: over OPFS, compared with a bare handle of the same file system. */
import { withPage } from './chromium.js';
import { compactionResults } from './space-results.js';

/**
 * Runs them.
 *
 * @param {number} rounds
 */
export function chromiumSpaceCases(rounds) {
  return withPage([], (page) =>
    compactionResults('Chromium, OPFS, space', (how) => page.evaluate(`bench.spaceTurn('${how}')`), rounds),
  );
}
