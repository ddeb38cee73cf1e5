/**
 * Fails when a line of a comment is longer than 120 columns: `node scripts/check-lines.js`. The formatter wraps code
 * there but not comments.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './run.js';
import { listFiles } from './source-files.js';

const COLUMNS = 120;

/**
 * Returns the numbers of the comment lines that are too long, counted from 1.
 *
 * @param {string} text
 * @returns {number[]}
 */
export function longLines(text) {
  return text.split('\n').flatMap((line, index) => {
    const isComment = /^\s*(?:\/?\*|\/\/)/.test(line);
    return isComment && line.length > COLUMNS ? [index + 1] : [];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = listFiles(root, /\.(?:tsx?|js)$/).flatMap((file) => {
    const lines = longLines(readFileSync(join(root, file), 'utf8'));
    return lines.map((line) => `${file}:${line}: this comment is longer than ${COLUMNS} columns`);
  });
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`Every comment ends at ${COLUMNS} columns.`);
}
