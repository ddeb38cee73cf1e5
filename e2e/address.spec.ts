/** Images on a web server: opened by their address, with what lies beside them, and refused with the reason. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import type { FilePlan } from '../packages/core/test/support/http/plan.js';
import { startServer, type TestServer } from '../packages/core/test/support/http/server.js';
import { afterDoubleClick, download, drop, expect, mapLoaded, ONE_BROWSER, test, withoutPicker } from './fixtures.js';
import { type Images, qemuImg, sha256 } from './images.js';

let server: TestServer;
test.beforeAll(async () => {
  server = await startServer();
});
test.afterAll(() => server.close());

/** Puts a file on the server: its address. */
async function put(name: string, path: string, plan: FilePlan = {}): Promise<string> {
  await fetch(`${server.origin}/bytes/${name}`, { method: 'PUT', body: new Uint8Array(await readFile(path)) });
  await fetch(`${server.origin}/plan/${name}`, { method: 'PUT', body: JSON.stringify({ etag: '"1"', ...plan }) });
  return `${server.origin}/file/${name}`;
}

async function requests(name: string): Promise<number> {
  const seen: unknown[] = await (await fetch(`${server.origin}/seen/${name}`)).json();
  return seen.length;
}

async function openAddress(page: Page, url: string): Promise<void> {
  await page.getByLabel('or open an address').fill(url);
  await page.getByRole('button', { name: 'Open address' }).click();
}

/** An overlay that names its base without a path. */
async function overlay(images: Images): Promise<{ base: string; path: string }> {
  const { base } = await images.chain();
  const path = join(images.folder, 'over.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', path);
  return { base, path };
}

test('an image opens by its address, with the base next to it, and is downloaded as raw', async ({
  page,
  profile,
  images,
}) => {
  const { base, path } = await overlay(images);
  await put('base.raw', base);
  await withoutPicker(page);
  await openAddress(page, await put('over.qcow2', path));
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('over.qcow2');
  await expect(page.getByText(`by your browser, from ${new URL(server.origin).host}.`)).toBeVisible();
  await mapLoaded(page);
  await expect(page.getByRole('list', { name: 'Legend' })).toContainText('From backing file');
  const button = page.getByRole('button', { name: 'Download as raw' });
  const file = await download(profile, page, 'over.raw', () => button.click());
  expect(await sha256(file)).toBe(await images.rawDigest(path));
});

test(
  'a base that the server does not have is requested from the user by name',
  ONE_BROWSER,
  async ({ page, images }) => {
    const { base, path } = await overlay(images);
    await fetch(`${server.origin}/plan/base.raw`, {
      method: 'PUT',
      body: JSON.stringify({ faults: [{ kind: 'status', status: 404 }] }),
    });
    await openAddress(page, await put('lonely.qcow2', path));
    await expect(page.getByText('This image is an overlay over base.raw.')).toBeVisible();
    await mapLoaded(page);
    await expect(page.getByRole('list', { name: 'Legend' })).toContainText('Unknown');
    await drop(page, base);
    await expect(page.getByText('is an overlay over')).toHaveCount(0);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('lonely.qcow2');
  },
);

test('restrictions of a server are reported, and an invalid address is refused', async ({ page, images }) => {
  const image = await images.plain();
  await openAddress(page, 'ftp://example.org/disk.qcow2');
  await expect(page.getByText('An address begins with https:// or http://')).toBeVisible();
  // Not toBeFocused: in Firefox another test's window may be the active one.
  const isActive = () => page.getByLabel('or open an address').evaluate((field) => field === document.activeElement);
  await expect.poll(isActive).toBe(true);
  const cases: [name: string, plan: FilePlan, title: string, reason: RegExp][] = [
    ['whole.qcow2', { ranges: false }, 'does not support range requests.', /does not support range requests/],
    ['hidden.qcow2', { cors: 'hidden' }, 'does not support range requests.', /Access-Control-Expose-Headers/],
    ['closed.qcow2', { cors: 'none' }, 'closed.qcow2 could not be fetched.', /Access-Control-Allow-Origin/],
    ['private.qcow2', { faults: [{ kind: 'status', status: 403 }] }, 'could not be fetched.', /status 403/],
    ['gone.qcow2', { faults: [{ kind: 'status', status: 404 }] }, 'There is no gone.qcow2', /no such file/],
  ];
  for (const [name, plan, title, reason] of cases) {
    await openAddress(page, await put(name, image, plan));
    await expect(page.getByRole('alert').getByText(title)).toBeVisible();
    await expect(page.getByRole('alert')).toContainText(reason);
  }
});

test('a link to an image fetches nothing before it is pressed, and can be cancelled after', async ({
  page,
  images,
}) => {
  const url = await put('linked.qcow2', await images.plain(), { faults: [{ kind: 'silence' }] });
  await page.goto(`/?again#url=${encodeURIComponent(url)}`);
  await expect(page.getByLabel('or open an address')).toHaveValue(url);
  expect(await requests('linked.qcow2')).toBe(0);
  await page.getByRole('button', { name: 'Open address' }).click();
  await expect.poll(() => requests('linked.qcow2')).toBe(1);
  await afterDoubleClick(page);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await afterDoubleClick(page);
  await page.getByRole('button', { name: 'Open address' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('linked.qcow2');
});

test('an address that is entered while another one is fetched is opened in its place', async ({ page, images }) => {
  const image = await images.plain();
  const silent = await put('silent.qcow2', image, { faults: [{ kind: 'silence' }] });
  const other = await put('other.qcow2', image);
  const field = page.getByLabel('or open an address');
  await field.fill(silent);
  await page.getByRole('button', { name: 'Open address' }).click();
  await expect.poll(() => requests('silent.qcow2')).toBe(1);
  await expect(page.getByRole('button', { name: 'Cancel' })).toBeVisible();
  await field.fill(other);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('other.qcow2');
});

test('the replacement of an open image on the server is detected', async ({ page, images }) => {
  const image = await images.compressed();
  await withoutPicker(page);
  await openAddress(page, await put('replaced.qcow2', image));
  await mapLoaded(page);
  await put('replaced.qcow2', image, { etag: '"2"' });
  await page.getByRole('button', { name: 'Download as raw' }).click();
  await expect(page.getByRole('alert').getByText('replaced.qcow2 was replaced on its server')).toBeVisible();
});
