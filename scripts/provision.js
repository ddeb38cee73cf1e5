/** Installs missing programs that the tests need: browsers, qemu-img and mkfs.ext4. */
import { existsSync, readFileSync } from 'node:fs';
import { findBrowser } from './find-browsers.js';
import { findProgram } from './find-program.js';
import { run, runTool } from './run.js';

/**
 * @typedef {object} Need
 * @property {string} name as shown to the user
 * @property {string} debian the package of Debian that brings it
 * @property {string} advice where else to get it
 * @property {() => boolean | Promise<boolean>} isThere
 */

/** @type {readonly Need[]} */
const NEEDS = [
  {
    name: 'Chromium',
    debian: 'chromium',
    advice: 'npx playwright install chromium, or set QCOW2_CHROMIUM to an executable',
    isThere: () => hasBrowser('chromium'),
  },
  {
    name: 'Firefox',
    debian: 'firefox-esr',
    advice: 'npx playwright install firefox, or set QCOW2_FIREFOX to an executable',
    isThere: () => hasBrowser('firefox'),
  },
  {
    name: 'qemu-img and qemu-io',
    debian: 'qemu-utils',
    advice: 'dnf install qemu-img, brew install qemu, or your system’s package of QEMU’s tools',
    isThere: () => Boolean(findProgram('qemu-img') && findProgram('qemu-io')),
  },
  {
    name: 'mkfs.ext4',
    debian: 'e2fsprogs',
    advice: 'dnf install e2fsprogs, or brew install e2fsprogs and put its sbin folder on the PATH',
    isThere: () => Boolean(findProgram('mkfs.ext4')),
  },
];

/** Installs what is missing, or throws an error that lists what to install. */
export async function provision() {
  let missing = await findMissing();
  if (missing.length > 0 && isRootOnDebian()) {
    await installDebian(missing);
    missing = await findMissing();
  }
  const browsers = ['Chromium', 'Firefox'].filter((name) => missing.some((need) => need.name === name));
  if (browsers.length > 0) {
    await runTool('playwright', ['install', ...browsers.map((name) => name.toLowerCase())]).catch(() => {
      // what is still missing is reported below
    });
    missing = await findMissing();
  }
  if (missing.length > 0) throw new Error(printAdvice(missing));
}

async function findMissing() {
  const there = await Promise.all(NEEDS.map((need) => need.isThere()));
  return NEEDS.filter((_, index) => !there[index]);
}

/**
 * True if the browser is installed, by the system or by Playwright.
 *
 * @param {import('./find-browsers.js').BrowserKind} kind
 */
async function hasBrowser(kind) {
  if (findBrowser(kind)) return true;
  const playwright = await import('playwright'); // installed only now
  return existsSync(playwright[kind].executablePath());
}

function isRootOnDebian() {
  if (process.getuid?.() !== 0 || !findProgram('apt-get')) return false;
  return /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** @param {readonly Need[]} missing */
async function installDebian(missing) {
  const retries = ['-o', 'Acquire::Retries=3'];
  const packages = missing.map((need) => need.debian);
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' } };
  await run('apt-get', ['update', ...retries], options);
  await run('apt-get', ['install', '-y', '--no-install-recommends', ...retries, ...packages], options);
}

/** @param {readonly Need[]} missing */
function printAdvice(missing) {
  const lines = missing.map(({ name, debian, advice }) => `  ${name}: apt-get install ${debian} (Debian), ${advice}`);
  return ['The tests need what this machine lacks. Please install:', ...lines].join('\n');
}
