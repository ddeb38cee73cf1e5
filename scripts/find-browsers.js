/** Finds the browsers that tests run in: an environment variable first, then what the machine has installed. */
import { findProgram } from './find-program.js';

/** @typedef {'chromium' | 'firefox'} BrowserKind */

/** What Debian and others call the executables, best first. */
const NAMES = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
  firefox: ['firefox-esr', 'firefox'],
};

/** Chromium's switches for tests: it runs as root in a container, and must not reach for the network on its own. */
export const chromiumArgs = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * The executable of an installed browser, or undefined when there is none: Playwright then uses its own.
 * `QCOW2_CHROMIUM` and `QCOW2_FIREFOX` override what is found.
 *
 * @param {BrowserKind} kind
 * @returns {string | undefined}
 */
export function findBrowser(kind) {
  return process.env[`QCOW2_${kind.toUpperCase()}`] || findProgram(...NAMES[kind]);
}

/**
 * Playwright's launch options for a browser, whether installed on the machine or Playwright's own.
 *
 * @param {BrowserKind} kind
 * @returns {{ args?: string[], channel?: string, executablePath?: string }}
 */
export function launchOptions(kind) {
  const executablePath = findBrowser(kind);
  if (kind === 'chromium') return { args: chromiumArgs, ...(executablePath && { executablePath }) };
  // Playwright drives a stock Firefox only through WebDriver BiDi, which this channel selects.
  return executablePath ? { channel: 'moz-firefox', executablePath } : {};
}
