/** Finds the browsers for the tests: from environment variables, else installed ones. */
import { findProgram } from './find-program.js';

/** @typedef {'chromium' | 'firefox'} BrowserKind */

/** Names of the executables on Debian and others, in order of preference. */
const NAMES = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
  firefox: ['firefox-esr', 'firefox'],
};

/** Chromium's switches for tests: it may run as root in a container, and must not use the network on its own. */
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
 * Returns the executable of an installed browser, undefined when there is none: Playwright then uses its own.
 * `QCOW2_CHROMIUM` and `QCOW2_FIREFOX` override the search.
 *
 * @param {BrowserKind} kind
 * @returns {string | undefined}
 */
export function findBrowser(kind) {
  return process.env[`QCOW2_${kind.toUpperCase()}`] || findProgram(...NAMES[kind]);
}

/**
 * Returns Playwright's launch options for a browser, installed or Playwright's own.
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
