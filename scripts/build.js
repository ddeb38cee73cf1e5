/** Builds the packages, type-checks everything else, and builds the demo page: `npm run build`. */
import { readdirSync, rmSync } from 'node:fs';
import { endOnSignals, root, runTool } from './run.js';
import { writeWorkerScript } from './worker-script.js';

/** Removes the output of earlier builds, so that files whose source was deleted disappear. */
function clean() {
  const packages = readdirSync(`${root}packages`).map((name) => `packages/${name}`);
  for (const project of [...packages, 'demo']) rmSync(`${root}${project}/dist`, { recursive: true, force: true });
}

endOnSignals();
try {
  clean();
  await runTool('tsc', ['-b']);
  await writeWorkerScript();
  await runTool('vite', ['build', 'demo', '--logLevel', 'warn']);
} catch (error) {
  console.error(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}
