/** Builds and serves the page with the package alone, from e2e/lab, with files beside it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from '@playwright/test';
import { build, type Plugin, preview } from 'vite';
import { shared } from '../vite.shared.js';
import type { Lab } from './lab/lab.js';

declare global {
  interface Window {
    lab: Lab;
  }
}

/** A web server with the page. */
export interface LabServer {
  readonly address: string;
  /** Serves a file beside the page; returns its URL. */
  serve(name: string, bytes: Uint8Array): Promise<string>;
  close(): Promise<void>;
}

/** The path of {@link LabServer} whose response makes the browser clear this site's data. */
export const CLEARING_PATH = 'clear-site-data';

/** Serves that path. A response mocked by Playwright would not work: the browser's network code reads the header. */
const clearingAddress: Plugin = {
  name: 'clear-site-data',
  configurePreviewServer({ middlewares }) {
    middlewares.use(`/${CLEARING_PATH}`, (_request, response) => {
      response.setHeader('Clear-Site-Data', '"storage"');
      response.end('cleared');
    });
  },
};

/** Builds the page into `folder`, and serves it on a free port. */
export async function startLab(folder: string): Promise<LabServer> {
  const outDir = join(folder, 'lab');
  await mkdir(outDir, { recursive: true });
  const root = fileURLToPath(new URL('./lab/', import.meta.url));
  const common = { ...shared, configFile: false, root, base: './', logLevel: 'warn' } as const;
  await build({ ...common, build: { outDir, emptyOutDir: false, target: 'es2022' } });
  const server = await preview({
    ...common,
    build: { outDir },
    plugins: [clearingAddress],
    preview: { ...shared.preview, host: '127.0.0.1', port: 0 },
  });
  const address = server.resolvedUrls?.local[0];
  if (address === undefined) throw new Error('The page of the package has no address.');
  return {
    address,
    async serve(name, bytes) {
      await writeFile(join(outDir, name), bytes);
      return new URL(name, address).href;
    },
    close: () => server.close(),
  };
}

/** Opens the page, and waits until its functions are available. */
export async function gotoLab(page: Page, { address }: LabServer): Promise<void> {
  await page.goto(address);
  await page.waitForFunction(() => 'lab' in window);
}

/** Writes the file of a stored image to `path`. */
export async function takeFile(page: Page, name: string, path: string): Promise<void> {
  const text = await page.evaluate((wanted) => window.lab.file(wanted), name);
  await writeFile(path, Buffer.from(text, 'base64'));
}
