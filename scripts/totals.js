/** Reads the reports of vitest and Playwright and adds up the passed and failed tests. */
import { existsSync, readFileSync } from 'node:fs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Totals */

/**
 * Reads the totals of one report; all zero when the run ended before it wrote one.
 *
 * @param {string} file
 * @returns {Totals}
 */
export function readTotals(file) {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: 0 };
  const report = JSON.parse(readFileSync(file, 'utf8'));
  return 'stats' in report ? fromPlaywright(report) : fromVitest(report);
}

/**
 * @param {{ stats: { expected: number, unexpected: number, flaky: number, skipped: number }, errors?: unknown[] }}
 *   report
 * @returns {Totals}
 */
function fromPlaywright({ stats, errors = [] }) {
  return { passed: stats.expected, failed: stats.unexpected + stats.flaky + errors.length, skipped: stats.skipped };
}

/**
 * A file that cannot be loaded counts as one failure: its tests are not listed.
 *
 * @param {{ testResults: { status: string, assertionResults: { status: string }[] }[] }} report
 * @returns {Totals}
 */
function fromVitest({ testResults }) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const { status, assertionResults } of testResults) {
    const failed = assertionResults.filter((test) => test.status === 'failed').length;
    const passed = assertionResults.filter((test) => test.status === 'passed').length;
    totals.passed += passed;
    totals.failed += status === 'failed' ? Math.max(failed, 1) : failed;
    totals.skipped += assertionResults.length - passed - failed;
  }
  return totals;
}
