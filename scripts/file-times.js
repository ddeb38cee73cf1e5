/** Reads how long the tests of each file took from the reports of vitest and Playwright. */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { root } from './run.js';

/** @typedef {{ name: string, seconds: number }} FileTime the file, and the browser where the report names it */

/**
 * A suite of Playwright's report: a file, or a `describe` in it.
 *
 * @typedef {object} Suite
 * @property {string} file
 * @property {{ tests: { projectName: string, results: { duration: number }[] }[] }[]} [specs]
 * @property {Suite[]} [suites]
 */

/**
 * The times of one report; none when the run ended before it could write one.
 *
 * @param {string} file
 * @returns {FileTime[]}
 */
export function readFileTimes(file) {
  if (!existsSync(file)) return [];
  const report = JSON.parse(readFileSync(file, 'utf8'));
  return 'stats' in report ? fromPlaywright(report.suites) : fromVitest(report);
}

/**
 * Those that took longest, the longest first.
 *
 * @param {readonly FileTime[]} times
 * @param {number} count
 */
export function slowest(times, count) {
  return [...times].sort((one, other) => other.seconds - one.seconds).slice(0, count);
}

/**
 * @param {readonly Suite[]} suites
 * @returns {FileTime[]}
 */
function fromPlaywright(suites) {
  /** @type {Map<string, number>} */
  const seconds = new Map();
  /** @param {Suite} suite */
  const add = ({ file, specs = [], suites = [] }) => {
    for (const { projectName, results } of specs.flatMap(({ tests }) => tests)) {
      const name = `${file} (${projectName})`;
      for (const { duration } of results) seconds.set(name, (seconds.get(name) ?? 0) + duration / 1000);
    }
    suites.forEach(add);
  };
  suites.forEach(add);
  return [...seconds].map(([name, seconds]) => ({ name, seconds }));
}

/**
 * A file that runs in two browsers is there twice: vitest's report does not say in which one.
 *
 * @param {{ testResults: { name: string, startTime: number, endTime: number }[] }} report
 * @returns {FileTime[]}
 */
function fromVitest({ testResults }) {
  return testResults.map(({ name, startTime, endTime }) => ({
    name: relative(root, name),
    seconds: (endTime - startTime) / 1000,
  }));
}
