/** Where the page cannot work: opened as a file, and over http from another host than localhost. */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from './fixtures.js';

test('opened as a file, the page says that it must be served, and by which command', async ({ profile }) => {
  // Not the page of other tests, which fails them for what the browser reports here: it does not load the scripts.
  const page = await profile.context.newPage();
  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('See inside a virtual disk');
  await expect(page.getByText('npm start')).toHaveCount(0);
  for (const index of ['../demo/index.html', '../demo/dist/index.html']) {
    await page.goto(pathToFileURL(fileURLToPath(new URL(index, import.meta.url))).href);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('This page must be served');
    await expect(page.getByText('npm start', { exact: true })).toBeVisible();
    await expect(page.locator('main')).toHaveCSS('opacity', '1');
  }
  await page.close();
});

test('over http, the page asks for https or localhost, and gives no other advice', async ({ page }) => {
  const served = new URL(page.url());
  await page.route('http://lan.example/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    const headers = { ...route.request().headers(), host: served.host };
    await route.fulfill({ response: await route.fetch({ url: new URL(pathname, served).href, headers }) });
  });
  await page.goto('http://lan.example/');
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Open this page over https or from localhost');
  await expect(page.getByText('It came over http from lan.example.')).toBeVisible();
  await expect(page.getByText(/private|normal window/)).toHaveCount(0);
  await expect(page.getByRole('button')).toHaveCount(0);
});
