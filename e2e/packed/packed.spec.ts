/** The packages as they would be published, in an application outside the workspace. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, type Page, test } from '@playwright/test';
import { publint } from 'publint';
import { build, createServer, preview, type Rolldown } from 'vite';
import { run, runTool } from '../../scripts/run.js';
import { GUEST_BYTES, sharedApp } from './shared-app.js';

/** What a reader may weigh, gzipped, with deflate: decisions/0008. */
const LIMIT_BYTES = 20 * 1024;

test.describe.configure({ mode: 'serial' });

const { app, sha256 } = sharedApp();

/** What the application shows once it has read the image; fails on any error that the page reports on the way. */
async function readOutcome(page: Page, address: string | undefined): Promise<Record<string, string | number>> {
  const errors: Error[] = [];
  page.on('pageerror', (error) => errors.push(error));
  await page.goto(address ?? '');
  const shown = page.locator('#outcome');
  await expect(shown).not.toBeEmpty();
  expect(errors).toEqual([]);
  return JSON.parse((await shown.textContent()) ?? '');
}

function expectedOutcome(): Record<string, unknown> {
  return {
    size: GUEST_BYTES,
    extents: expect.any(Number),
    inWorker: sha256,
    onPage: sha256,
    refusedInWorker: 'not-qcow2',
    refusedOnPage: 'not-qcow2',
  };
}

for (const name of ['qcow2', 'qcow2-opfs']) {
  test(`publint finds nothing in ${name}`, async () => {
    const { messages } = await publint({ pkgDir: join(app, 'node_modules', name), strict: true, pack: false });
    expect(messages).toEqual([]);
  });

  test(`${name} contains no name of a workspace and no path of this machine`, () => {
    const manifest = readFileSync(join(app, 'node_modules', name, 'package.json'), 'utf8');
    expect(manifest).not.toMatch(/workspace:|file:|link:/);
  });

  test(`${name} contains its README, the changelog and the license, and the files that these link to`, () => {
    const folder = join(app, 'node_modules', name);
    for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE']) {
      const text = readFileSync(join(folder, file), 'utf8');
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) => target ?? '');
      expect(links.filter((target) => !existsSync(join(folder, target)))).toEqual([]);
    }
  });
}

for (const config of ['tsconfig.json', 'tsconfig.exact.json']) {
  test(`type-checks with ${config}, libraries included`, async () => {
    await runTool('tsc', ['-p', join(app, config)]);
  });
}

/** The oldest compiler that knows the types in use: those of buffers are generic since. */
const oldestCompiler = fileURLToPath(new URL('./node_modules/typescript57/bin/tsc', import.meta.url));

for (const config of ['tsconfig.json', 'tsconfig.node16.json']) {
  test(`type-checks with ${config} and TypeScript 5.7, libraries included`, async () => {
    await run(process.execPath, [oldestCompiler, '-p', join(app, config)]);
  });
}

test('has no types for a compiler that does not read `exports`', () => {
  // It finds no declarations: there is nothing in them to check, and those of the platform are checked above.
  const quick = ['--skipLibCheck', '--pretty', 'false'];
  const options = ['-p', join(app, 'tsconfig.json'), '--moduleResolution', 'node10', ...quick];
  const { status, stdout } = spawnSync(process.execPath, [oldestCompiler, ...options], { encoding: 'utf8' });
  expect(status).not.toBe(0);
  expect(stdout).toMatch(/TS2307: Cannot find module 'qcow2'|TS2307: Cannot find module 'qcow2-opfs'/);
});

test('reads the image in Node', () => {
  const printed = execFileSync(process.execPath, ['read.js', 'public/image.qcow2'], { cwd: app, encoding: 'utf8' });
  expect(printed.trim()).toBe(sha256);
});

test('reads the image in a development server', async ({ page }) => {
  const server = await createServer({ root: app, configFile: false, logLevel: 'warn', server: { port: 4731 } });
  try {
    await server.listen();
    expect(await readOutcome(page, server.resolvedUrls?.local[0])).toEqual(expectedOutcome());
  } finally {
    await server.close();
  }
});

test('reads the image in a production build', async ({ page }) => {
  await build({ root: app, configFile: false, logLevel: 'warn' });
  const server = await preview({ root: app, configFile: false, logLevel: 'warn', preview: { port: 4732 } });
  try {
    expect(await readOutcome(page, server.resolvedUrls?.local[0])).toEqual(expectedOutcome());
  } finally {
    await server.close();
  }
});

test('a reader is small, and its first chunk contains no codec', async ({ page }) => {
  const chunks = await buildReader();
  const loaded = await loadedChunks(page, chunks);
  const first = staticChunks(chunks);
  const sizes = `${weigh(loaded)} bytes gzipped in ${loaded.length} chunks, the first ${weigh(first)}`;
  console.log(`reader: ${sizes}; limit ${LIMIT_BYTES}`);

  const isCodec = (id: string) => /\/codecs\/|\/fflate\//.test(id);
  expect(first.flatMap((chunk) => chunk.moduleIds.filter(isCodec))).toEqual([]);
  expect(loaded.flatMap((chunk) => chunk.moduleIds.filter(isCodec))).not.toEqual([]);
  expect(loaded.flatMap((chunk) => chunk.moduleIds.filter((id) => /\/hashes\//.test(id)))).toEqual([]);
  expect(weigh(loaded)).toBeLessThanOrEqual(LIMIT_BYTES);
});

/** Without Vite's own code for preloading chunks, which is 950 bytes: what is weighed is the library. */
const READER = {
  configFile: false,
  logLevel: 'warn',
  build: { outDir: 'dist-reader', modulePreload: false },
} as const;

/** Builds a page that opens an image, maps it and reads from it, and does nothing else. */
async function buildReader(): Promise<Rolldown.OutputChunk[]> {
  const input = join(app, 'reader.html');
  const result = await build({ ...READER, root: app, build: { ...READER.build, rolldownOptions: { input } } });
  if (!('output' in result)) throw new Error('vite did not answer with one bundle');
  return result.output.filter((part) => part.type === 'chunk');
}

/** The chunks that the reader's page really loads: not those of verbs that it never calls. */
async function loadedChunks(page: Page, chunks: readonly Rolldown.OutputChunk[]): Promise<Rolldown.OutputChunk[]> {
  const requested: string[] = [];
  page.on('request', (request) => requested.push(new URL(request.url()).pathname.slice(1)));
  const server = await preview({ ...READER, root: app, preview: { port: 4733 } });
  try {
    await page.goto(`${server.resolvedUrls?.local[0]}reader.html`);
    await expect(page.locator('#outcome')).toHaveText(new RegExp(`^${GUEST_BYTES} \\d+ 512$`));
  } finally {
    await server.close();
  }
  return chunks.filter((chunk) => requested.includes(chunk.fileName));
}

/** The entry and everything that it imports statically: what a page waits for before the first line runs. */
function staticChunks(chunks: readonly Rolldown.OutputChunk[]): Rolldown.OutputChunk[] {
  const names = new Set(chunks.filter((chunk) => chunk.isEntry).map((chunk) => chunk.fileName));
  for (const name of names) {
    for (const imported of chunks.find((chunk) => chunk.fileName === name)?.imports ?? []) names.add(imported);
  }
  return chunks.filter((chunk) => names.has(chunk.fileName));
}

/** Bytes on the way, as servers send them. */
function weigh(chunks: readonly Rolldown.OutputChunk[]): number {
  return chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0);
}
