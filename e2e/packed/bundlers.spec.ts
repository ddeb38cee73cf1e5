/** The packages with other people's bundlers: each page keeps an image in a real browser, or says what to import. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import { root } from '../../scripts/run.js';
import { BUNDLERS, type Bundler, type Project, type Served, serveBuilt } from './bundlers.js';
import { MATRIX, matrixTable } from './matrix.js';
import { keptImage, outcomeOf } from './outcome.js';
import { sharedApp } from './shared-app.js';

test.describe.configure({ mode: 'parallel' });

const { app } = sharedApp();

for (const bundler of BUNDLERS) {
  for (const entry of ['modular', 'inline'] as const) {
    const works = MATRIX[bundler.name]?.[entry];
    const project = { app, entry, out: join(app, 'out', `${bundler.name} ${entry}`) };
    test(`${bundler.name} builds the ${entry} entry`, async ({ page }) => {
      await expectWorks(page, works?.build, () => serveBuild(bundler, { ...project, out: `${project.out} built` }));
    });
    const { serve } = bundler;
    if (!serve) continue;
    test(`${bundler.name} serves the ${entry} entry in development`, async ({ page }) => {
      await expectWorks(page, works?.serve, () => serve({ ...project, out: `${project.out} served` }));
    });
  }
}

/** Either the page keeps an image, or the build fails, or the page is told to import the other entry. */
async function expectWorks(page: Page, works: boolean | null | undefined, serve: () => Promise<Served>): Promise<void> {
  let server: Served;
  try {
    server = await serve();
  } catch (error) {
    if (works) throw error;
    expect(works).toBe(false);
    // Vite's default format of workers, which cannot hold dynamic imports.
    expect(String(error)).toMatch(/iife/i);
    return;
  }
  try {
    const outcome = await outcomeOf(page, server.address);
    if (works) expect(outcome).toEqual(keptImage());
    else expect(outcome).toEqual({ code: 'failed', message: expect.stringContaining("'qcow2-opfs/inline'") });
  } finally {
    await server.close();
  }
}

async function serveBuild(bundler: Bundler, project: Project): Promise<Served> {
  await bundler.build(project);
  return serveBuilt(project.out);
}

test('the README of qcow2-opfs shows which entry works with which bundler', () => {
  expect(Object.keys(MATRIX)).toEqual(BUNDLERS.map(({ name }) => name));
  expect(readFileSync(join(root, 'packages/opfs/README.md'), 'utf8')).toContain(matrixTable());
});
