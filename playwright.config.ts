/** The end-to-end tests of the demo page, in Chromium and Firefox, against the built page. */
import { defineConfig } from '@playwright/test';
import { launchOptions } from './scripts/find-browsers.js';

/** Far from what vite, Playwright and people use by default, so that a server of somebody else's is not tested. */
const PORT = 4719;
/** `npm test` has built the page a few stages before, and says so. */
const build = process.env.QCOW2_DEMO_IS_BUILT ? '' : 'npx vite build demo --logLevel warn && ';
const address = `http://127.0.0.1:${PORT}/`;

export default defineConfig({
  testDir: 'e2e',
  testIgnore: 'packed/**',
  outputDir: 'test-results/e2e',
  reporter: [['list'], ['json', { outputFile: 'test-results/e2e.json' }]],
  forbidOnly: true,
  workers: 2,
  // Else the last file runs alone.
  fullyParallel: true,
  // Machines are shared and noisy: a time limit is there for what hangs, not for what is slow.
  timeout: 120_000,
  expect: { timeout: 20_000 },
  use: {
    baseURL: address,
    // What was done, and the page at its end: to record the page at each step doubles what the tests take.
    trace: { mode: 'retain-on-failure', screenshots: false, snapshots: false },
    screenshot: 'only-on-failure',
  },
  projects: [
    { name: 'chromium', use: { browserName: 'chromium', launchOptions: launchOptions('chromium') } },
    // Firefox's pages share processes, so that no test can tell whose memory it is.
    {
      name: 'firefox',
      // ONE_BROWSER of e2e/fixtures.ts says which tests have this tag.
      grepInvert: /@one-browser/,
      testIgnore: ['packed/**', 'memory.spec.ts'],
      use: { browserName: 'firefox', launchOptions: launchOptions('firefox') },
    },
  ],
  webServer: {
    command: `${build}npx vite preview demo --strictPort --host 127.0.0.1 --port ${PORT}`,
    url: address,
    reuseExistingServer: false,
  },
});
