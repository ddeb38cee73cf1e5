/** One configuration for the demo page (dev, build, preview) and for every unit test (Node, Chromium, Firefox). */
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { launchOptions } from './scripts/find-browsers.js';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Cross-origin isolation, so that SharedArrayBuffer exists. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  resolve: {
    // Tests and the demo run the sources; the packed-tarball test covers what is published.
    alias: [
      { find: /^qcow2\/node$/, replacement: at('./packages/core/node/index.ts') },
      { find: /^qcow2$/, replacement: at('./packages/core/src/index.ts') },
      { find: /^qcow2-opfs\/worker$/, replacement: at('./packages/opfs/src/worker.ts') },
      { find: /^qcow2-opfs$/, replacement: at('./packages/opfs/src/index.ts') },
    ],
  },
  server: { headers: isolation },
  preview: { headers: isolation },
  worker: { format: 'es' },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'node',
          environment: 'node',
          include: ['packages/*/test/**/*.test.ts'],
          exclude: ['**/*.browser.test.ts'],
        },
      },
      {
        extends: true,
        optimizeDeps: { include: ['comlink', 'fast-check'] },
        test: {
          name: 'browser',
          include: ['packages/*/test/**/*.browser.test.ts'],
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
