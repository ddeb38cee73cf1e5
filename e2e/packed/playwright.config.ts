/** The test of what would be published: the packages, packed, in an application of somebody else's. */
import { defineConfig } from '@playwright/test';
import { launchOptions } from '../../scripts/find-browsers.js';

export default defineConfig({
  testDir: '.',
  outputDir: '../../test-results/packed',
  reporter: [['list'], ['json', { outputFile: '../../test-results/packed.json' }]],
  forbidOnly: true,
  globalSetup: './setup.ts',
  workers: 2,
  timeout: 120_000,
  expect: { timeout: 60_000 },
  projects: [
    { name: 'chromium', use: { browserName: 'chromium', launchOptions: launchOptions('chromium') } },
    {
      name: 'firefox',
      grep: /@firefox/,
      use: { browserName: 'firefox', launchOptions: launchOptions('firefox') },
    },
  ],
});
