/**
 * Checks and tests everything, from a clone with only Node and npm: `npm test`. `npm test -- --only unit,e2e` runs
 * those stages alone.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { readFileTimes, slowest } from './file-times.js';
import { install } from './pnpm.js';
import { provision } from './provision.js';
import { endOnSignals, root, run, runTool } from './run.js';
import { readTotals } from './totals.js';

/**
 * @typedef {object} Stage
 * @property {string} name
 * @property {(done: ReadonlySet<string>) => Promise<void>} run gets the names of the stages that have run
 * @property {string} [report] the file in test-results/ that holds its counts
 */

/** How many test files are listed at the end. */
const LISTED_FILES = 10;

/** @param {string} file */
const script = (file) => run(process.execPath, [`scripts/${file}`]);

/** @type {readonly Stage[]} */
const STAGES = [
  { name: 'install', run: install },
  { name: 'provision', run: provision },
  { name: 'lint', run: lint },
  { name: 'imports', run: () => script('check-imports.js') },
  { name: 'lines', run: () => script('check-lines.js') },
  { name: 'docs', run: () => script('check-docs.js') },
  { name: 'build', run: () => script('build.js') },
  { name: 'unit', run: unit, report: 'unit.json' },
  { name: 'packed', run: () => playwright('e2e/packed/playwright.config.ts'), report: 'packed.json' },
  {
    name: 'e2e',
    run: (done) => playwright('playwright.config.ts', done.has('build') ? { QCOW2_DEMO_IS_BUILT: '1' } : {}),
    report: 'e2e.json',
  },
];

function lint() {
  const colors = process.stdout.isTTY ? 'force' : 'off'; // `biome ci` colours logs, too
  return runTool('biome', ['ci', `--colors=${colors}`, '--error-on-warnings', '.']);
}

/** One run over the projects node, browser (chromium) and browser (firefox). */
function unit() {
  return runTool('vitest', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${reportFile('unit.json')}`,
  ]);
}

/**
 * @param {string} config
 * @param {Record<string, string>} [env]
 */
function playwright(config, env = {}) {
  return runTool('playwright', ['test', '--config', config], { env, stopWith: 'SIGINT' }); // else its web server stays
}

/** @param {string} name */
function reportFile(name) {
  return `${root}test-results/${name}`;
}

/**
 * The stages that `--only` names, or all of them.
 *
 * @param {readonly string[]} args
 */
function chooseStages(args) {
  if (args.length === 0) return STAGES;
  const names = args[0] === '--only' && args.length === 2 ? (args[1] ?? '').split(',') : [];
  const chosen = STAGES.filter((stage) => names.includes(stage.name));
  if (names.length === 0 || chosen.length < names.length) {
    throw new Error(`Usage: npm test [-- --only ${STAGES.map((stage) => stage.name).join(',')}]`);
  }
  return chosen;
}

/**
 * Runs the stages up to the first that fails; adds up what their reports say, and the seconds that each took.
 *
 * @param {readonly Stage[]} stages
 */
async function runStages(stages) {
  const totals = { passed: 0, failed: 0 };
  /** @type {{ name: string, seconds: number }[]} */
  const times = [];
  for (const stage of stages) {
    console.log(`\n==> ${stage.name}`);
    const start = performance.now();
    const error = await stage.run(new Set(times.map(({ name }) => name))).then(
      () => undefined,
      (/** @type {Error} */ reason) => reason,
    );
    const counts = stage.report ? readTotals(reportFile(stage.report)) : { passed: 0, failed: 0, skipped: 0 };
    const problem = error?.message ?? (counts.skipped > 0 ? `${counts.skipped} tests were skipped` : undefined);
    totals.passed += counts.passed;
    // A stage that fails without a failing test (a lint error, a crash) is one failure.
    totals.failed += problem ? Math.max(counts.failed, 1) : counts.failed;
    const seconds = (performance.now() - start) / 1000;
    times.push({ name: stage.name, seconds });
    const took = `${seconds.toFixed(1)} s`;
    console.log(`==> ${stage.name} ${problem ? `FAILED after ${took}: ${problem}` : `took ${took}`}`);
    if (totals.failed > 0) break;
  }
  return { ...totals, times };
}

/**
 * Prints what took how long, so that growth is seen.
 *
 * @param {string} title
 * @param {readonly { name: string, seconds: number }[]} times
 */
function printTimes(title, times) {
  if (times.length === 0) return;
  console.log(`\n${title}:`);
  for (const { name, seconds } of times) console.log(`${seconds.toFixed(1).padStart(8)} s  ${name}`);
}

endOnSignals();
try {
  const stages = chooseStages(process.argv.slice(2));
  mkdirSync(`${root}test-results`, { recursive: true });
  for (const { report } of stages) if (report) rmSync(reportFile(report), { force: true });
  const { passed, failed, times } = await runStages(stages);
  process.exitCode = failed > 0 ? 1 : 0;
  printTimes('Stages', times);
  const fileTimes = stages.flatMap(({ report }) => (report ? readFileTimes(reportFile(report)) : []));
  printTimes('Slowest test files', slowest(fileTimes, LISTED_FILES));
  console.log(`\n${passed} passed, ${failed} failed`);
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exitCode = 2;
}
