/**
 * Measures the engine in Node and in Chromium, compared with qemu-img and bare device calls, and prints a table: `pnpm
 * bench`.
 *
 *   --only=node|chromium   one of the two
 *   --what=reads|digests|writes|cliffs|checks|space   one of the six
 *   --rounds=7             turns of each contender
 */
import { parseArgs } from 'node:util';
import { runTool } from '../../../scripts/run.js';
import { chromiumCases } from './chromium-cases.js';
import { chromiumCheckCases } from './chromium-check-cases.js';
import { chromiumSpaceCases } from './chromium-space-cases.js';
import { chromiumWriteCases } from './chromium-write-cases.js';
import { imageFolder } from './images.js';
import { nodeCases, nodeDigestCases } from './node-cases.js';
import { nodeCheckCases } from './node-check-cases.js';
import { nodeCliffCases } from './node-cliff-cases.js';
import { nodeSpaceCases } from './node-space-cases.js';
import { nodeWriteCases } from './node-write-cases.js';
import { table } from './report.js';

const { values } = parseArgs({
  options: { only: { type: 'string' }, what: { type: 'string' }, rounds: { type: 'string', default: '7' } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError('--rounds takes a whole number from 1 on');

await runTool('tsc', ['-b', 'packages/core/node', 'packages/opfs']);
const folder = imageFolder();
/** @param {string} where @param {string} what */
const wanted = (where, what) => (values.only ?? where) === where && (values.what ?? what) === what;
const results = [
  ...(wanted('node', 'reads') ? await nodeCases(folder, rounds) : []),
  ...(wanted('node', 'digests') ? await nodeDigestCases(folder, rounds) : []),
  ...(wanted('node', 'writes') ? await nodeWriteCases(folder, rounds) : []),
  ...(wanted('node', 'cliffs') ? await nodeCliffCases(folder, rounds) : []),
  ...(wanted('node', 'checks') ? await nodeCheckCases(folder, rounds) : []),
  ...(wanted('node', 'space') ? await nodeSpaceCases(folder, rounds) : []),
  ...(wanted('chromium', 'reads') ? await chromiumCases(folder, rounds) : []),
  ...(wanted('chromium', 'writes') ? await chromiumWriteCases(rounds) : []),
  ...(wanted('chromium', 'space') ? await chromiumSpaceCases(rounds) : []),
  ...(wanted('chromium', 'checks') ? await chromiumCheckCases(folder, rounds) : []),
];
console.log(table(results));
