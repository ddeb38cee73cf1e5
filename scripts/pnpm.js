/** Runs the locked pnpm: `node scripts/pnpm.js <arguments>`. Its version is defined only here. */
import { fileURLToPath } from 'node:url';
import { run } from './run.js';

// Not a `packageManager` field: `npx pnpm` fails where there is one.
const PNPM = 'pnpm@12.21.0';

/**
 * Runs pnpm in the root of the repository, or in `cwd`.
 *
 * @param {readonly string[]} args
 * @param {{ cwd?: string }} [options]
 */
export function pnpm(args, options) {
  // The version is exact, so a cached copy can be used, without a network too. CI: pnpm does not prompt, which would
  // fail without a terminal.
  return run('npx', ['--yes', '--prefer-offline', PNPM, ...args], { ...options, env: { CI: 'true' } });
}

/** Installs exactly the versions in the lockfile. */
export function install() {
  return pnpm(['install', '--frozen-lockfile']);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await pnpm(process.argv.slice(2)).catch((/** @type {Error} */ error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
