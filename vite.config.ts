/** The configuration of every unit test: in Node, Chromium and Firefox. The demo page has its own, in demo/. */
import { availableParallelism } from 'node:os';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { launchOptions } from './scripts/find-browsers.js';
import { shared } from './vite.shared.js';
import { bundledWorkers, inlineWorker } from './vite.workers.js';

/** A dependency of `qcow2` alone, which is loaded with the first digest. */
const HASHES = ['qcow2 > @noble/hashes/legacy.js', 'qcow2 > @noble/hashes/sha2.js'];

export default defineConfig({
  ...shared,
  plugins: [inlineWorker()],
  test: {
    // Machines are shared and noisy: a time limit is there for what hangs, not for what is slow.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A web server that tests in Node and in browsers read from.
    globalSetup: './packages/core/test/support/http/global-setup.ts',
    // As many as there are processors, at least two: these tests wait for qemu-img, and those in browsers for locks.
    maxWorkers: Math.max(2, availableParallelism()),
    projects: [
      {
        extends: true,
        test: {
          name: 'node',
          environment: 'node',
          // A process for each file would take longer than most files do. Whatever a test changes it puts back.
          isolate: false,
          include: ['{packages/*,demo,scripts}/test/**/*.test.ts'],
          exclude: ['**/*.browser.test.ts'],
        },
      },
      {
        extends: true,
        plugins: [bundledWorkers()],
        // Found before the first test, or the first run reloads in the middle.
        optimizeDeps: { include: ['comlink', 'fast-check', 'fflate', ...HASHES] },
        test: {
          name: 'browser',
          include: ['{packages/*,demo}/test/**/*.browser.test.ts'],
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            fileParallelism: false, // persistentContext is ignored otherwise
            provider: playwright({ persistentContext: true, launchOptions: launchOptions('chromium') }),
            instances: [
              { browser: 'chromium' },
              {
                browser: 'firefox',
                provider: playwright({ persistentContext: true, launchOptions: launchOptions('firefox') }),
              },
            ],
          },
        },
      },
    ],
  },
});
