/**
 * What the demo page and the unit tests have in common: where the packages' sources are, and cross-origin isolation.
 */
import { fileURLToPath } from 'node:url';
import type { UserConfig } from 'vite';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Cross-origin isolation, so that SharedArrayBuffer exists. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export const shared: UserConfig = {
  resolve: {
    // Tests and the demo run the sources; the packed-tarball test covers what is published.
    alias: [
      { find: /^qcow2\/node$/, replacement: at('./packages/core/node/index.ts') },
      { find: /^qcow2\/internal$/, replacement: at('./packages/core/src/internal.ts') },
      { find: /^qcow2$/, replacement: at('./packages/core/src/index.ts') },
      { find: /^qcow2-opfs\/worker$/, replacement: at('./packages/opfs/src/worker.ts') },
      { find: /^qcow2-opfs\/inline$/, replacement: at('./packages/opfs/src/inline.ts') },
      { find: /^qcow2-opfs$/, replacement: at('./packages/opfs/src/index.ts') },
    ],
  },
  server: { headers: isolation },
  preview: { headers: isolation },
  // The default format has no chunks: dynamic imports in a worker would be inlined without a word.
  worker: { format: 'es' },
};
