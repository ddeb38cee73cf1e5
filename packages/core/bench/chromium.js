/** Starts the browser that measures: bundles the scripts, serves them, and opens Chromium with the images chosen. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { build } from 'vite';
import { launchOptions } from '../../../scripts/find-browsers.js';

/** @typedef {import('playwright').Page} Page */

const HTML =
  '<!doctype html><title>bench</title><input type="file" multiple><script type="module" src="/page.js"></script>';

/** Names of the scripts that are served. */
const SCRIPTS = ['page', 'worker', 'reader', 'writer', 'space'];

/**
 * Bundles a script, minified as an application would.
 *
 * @param {string} name
 */
async function bundle(name) {
  const entry = fileURLToPath(new URL(`./chromium-${name}.js`, import.meta.url));
  const outcome = await build({
    configFile: false,
    logLevel: 'warn',
    build: {
      write: false,
      lib: { entry, formats: ['es'], fileName: name },
      rollupOptions: { output: { codeSplitting: false } },
    },
  });
  const [{ output }] = /** @type {{ output: { code: string }[] }[]} */ (/** @type {unknown} */ (outcome));
  return output[0].code;
}

/**
 * Serves the page on a free port of this machine.
 *
 * @param {ReadonlyMap<string, string>} scripts by path
 * @returns {Promise<{ address: string, stop: () => void }>}
 */
function serve(scripts) {
  const server = createServer((request, response) => {
    const script = scripts.get(request.url ?? '');
    response.setHeader('Content-Type', script === undefined ? 'text/html' : 'text/javascript');
    response.end(script ?? HTML);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      resolve({ address: `http://127.0.0.1:${port}/`, stop: () => server.close() });
    });
  });
}

/**
 * Runs `work` with a page in which these files have been chosen. The profile is on disk: a private one stores files
 * differently.
 *
 * @template T
 * @param {readonly string[]} files
 * @param {(page: Page) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withPage(files, work) {
  const profile = mkdtempSync(join(tmpdir(), 'qcow2-bench-'));
  /** @type {Map<string, string>} */
  const scripts = new Map();
  for (const name of SCRIPTS) scripts.set(`/${name}.js`, await bundle(name));
  const { address, stop } = await serve(scripts);
  try {
    const context = await chromium.launchPersistentContext(profile, launchOptions('chromium'));
    try {
      const page = await context.newPage();
      await page.goto(address);
      await page.setInputFiles('input', [...files]);
      await page.evaluate('bench.openAll()');
      return await work(page);
    } finally {
      await context.close();
    }
  } finally {
    stop();
    rmSync(profile, { recursive: true, force: true });
  }
}
