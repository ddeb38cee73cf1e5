/**
 * The packages where policies and origins keep workers from starting: Content-Security-Policy, Trusted Types, a CDN.
 */
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { BUNDLERS, type Bundler, type Entry, type Served, serveBuilt } from './bundlers.js';
import { keptImage, outcomeOf } from './outcome.js';
import { sharedApp } from './shared-app.js';

test.describe.configure({ mode: 'default' });

const { app } = sharedApp();
const built = (entry: Entry): string => join(app, 'out', `policies ${entry}`);

test.beforeAll(async () => {
  for (const entry of ['modular', 'inline'] as const) await bundler('Vite 8').build({ app, entry, out: built(entry) });
});

function bundler(name: string): Bundler {
  const found = BUNDLERS.find((each) => each.name === name);
  if (!found) throw new Error(`There is no bundler ${name}.`);
  return found;
}

const OURS = "default-src 'self'";
const TRUSTED = "require-trusted-types-for 'script'";

/** Browsers differ in how they refuse a worker: Firefox has the tests with this tag, too. */
const BOTH = { tag: '@firefox' };

const allowed: [entry: Entry, policy: string, query: string, where: object][] = [
  ['modular', `${OURS}; worker-src 'self'`, '', BOTH],
  // The worker is under the policy, too: it cannot have a second one that flushes.
  ['modular', `${OURS}; worker-src 'self'; ${TRUSTED}`, '?import', {}],
  ['inline', `${OURS}; worker-src blob:`, '', BOTH],
  ['modular', `${OURS}; ${TRUSTED}; trusted-types qcow2-opfs`, '', BOTH],
  ['inline', `${OURS}; worker-src blob:; ${TRUSTED}; trusted-types qcow2-opfs`, '', BOTH],
];

for (const [entry, policy, query, where] of allowed) {
  test(`the ${entry} entry works under ${policy}`, where, async ({ page }) => {
    await withServer(entry, policy, async ({ address }) => {
      expect(await outcomeOf(page, address + query)).toEqual(keptImage());
    });
  });
}

const refused: [entry: Entry, policy: string, advice: string, where: object][] = [
  ['modular', "worker-src 'none'", "'qcow2-opfs/inline'", {}],
  ['modular', `${TRUSTED}; trusted-types none-of-ours`, 'trusted-types qcow2-opfs', {}],
  ['inline', OURS, 'worker-src blob:', BOTH],
  ['inline', `${TRUSTED}; trusted-types none-of-ours`, 'trusted-types qcow2-opfs', {}],
];

for (const [entry, policy, advice, where] of refused) {
  test(`the ${entry} entry gives advice under ${policy}`, where, async ({ page }) => {
    await withServer(entry, policy, async ({ address }) => {
      const message = expect.stringContaining(advice);
      expect(await outcomeOf(page, address)).toEqual({ code: 'failed', message });
    });
  });
}

async function withServer(entry: Entry, policy: string, use: (server: Served) => Promise<void>): Promise<void> {
  const server = await serveBuilt(built(entry), { 'Content-Security-Policy': policy });
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

const elsewhere: [name: string, entry: Entry, where: object][] = [
  ['Vite 8', 'modular', BOTH],
  ['Vite 8', 'inline', {}],
  ['webpack 5', 'modular', {}],
];

for (const [name, entry, where] of elsewhere) {
  test(`the ${entry} entry works where ${name}'s scripts come from another origin`, where, async ({ page }) => {
    const out = join(app, 'out', `${name} ${entry} elsewhere`);
    // The page comes from one port, and what it names from another, which is known only when it listens.
    const scripts = await serveBuilt(out);
    const origin = await serveBuilt(out);
    try {
      await bundler(name).build({ app, entry, out, base: scripts.address });
      expect(await outcomeOf(page, origin.address)).toEqual(keptImage());
    } finally {
      await scripts.close();
      await origin.close();
    }
  });
}
