/** Finds the browsers that tests run in: an environment variable first, then what the machine has installed. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

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

function onPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/**
 * The executable of an installed browser, or undefined when there is none: Playwright then uses its own. `QCOW2_CHROMIUM` and
 * `QCOW2_FIREFOX` override what is found.
 */
export function findBrowser(kind) {
  const chosen = process.env[`QCOW2_${kind.toUpperCase()}`];
  if (chosen) return chosen;
  for (const name of NAMES[kind]) {
    const file = onPath(name);
    if (file) return file;
  }
  return undefined;
}

/** Playwright's launch options for a browser, whether installed on the machine or Playwright's own. */
export function launchOptions(kind) {
  const executablePath = findBrowser(kind);
  if (kind === 'chromium') return { args: chromiumArgs, ...(executablePath && { executablePath }) };
  // Playwright drives a stock Firefox only through WebDriver BiDi, which this channel selects.
  return executablePath ? { channel: 'moz-firefox', executablePath } : {};
}
