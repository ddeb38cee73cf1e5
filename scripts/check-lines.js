/**
 * Fails when a line of a source is longer than 120 columns: `node scripts/check-lines.js`. The formatter wraps code
 * there, but neither comments nor long strings.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './run.js';
import { listFiles } from './source-files.js';

const COLUMNS = 120;

/** A URL cannot be broken, so its characters do not count. */
const URLS = /https?:\/\/\S+/g;

/**
 * Returns the numbers of the lines that are too long, counted from 1.
 *
 * @param {string} text
 * @returns {number[]}
 */
export function longLines(text) {
  return text.split('\n').flatMap((line, index) => (line.replace(URLS, '').length > COLUMNS ? [index + 1] : []));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = listFiles(root, /\.(?:tsx?|js)$/).flatMap((file) => {
    const lines = longLines(readFileSync(join(root, file), 'utf8'));
    return lines.map((line) => `${file}:${line}: this line is longer than ${COLUMNS} columns`);
  });
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`Every line ends at ${COLUMNS} columns.`);
}
