/** The browser's storage: what it says of it, that it can be asked to keep it, and what is done where it refuses it. */
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { create, download, drop, expect, launchProfile, mapLoaded, test, titled, withoutPicker } from './fixtures.js';
import { sha256 } from './images.js';
import { takeAway } from './take-away.js';

// In one worker, so that one private browser is enough.
test.describe.configure({ mode: 'default' });

const start = (page: Page): Promise<void> => page.getByRole('button', { name: 'Download as raw' }).click();

test('the storage is described, and persistence can be requested', async ({ folder }) => {
  const profile = await launchProfile(test.info(), join(folder, 'persist'), { persist: true });
  try {
    const page = await profile.context.newPage();
    await page.goto('/');
    await expect(page.getByText(/used, and room for at least .* more, says the browser\./)).toBeVisible();
    await expect(page.getByText('The browser may clear these images when it runs short of space.')).toBeVisible();
    if (profile.kind === 'chromium') {
      const session = await profile.context.newCDPSession(page);
      const { origin } = new URL(page.url());
      await session.send('Browser.grantPermissions', { origin, permissions: ['durableStorage'] });
    }
    await page.getByRole('button', { name: 'Ask it to keep them' }).click();
    await expect(page.getByText('Only you can clear these images')).toBeVisible();
    expect(await page.evaluate(() => navigator.storage.persisted())).toBe(true);
  } finally {
    await profile.context.close();
  }
});

test('where storage is refused, as in a private window, images are kept in memory, and the page says so', async ({
  privateProfile: profile,
}) => {
  const page = await profile.context.newPage();
  await page.goto('/');
  await expect(page.getByText('These images are only in memory.')).toBeVisible();
  await create(page, 'disk.qcow2', '1G');
  expect(await takeAway(profile, page, 'disk.qcow2')).toMatchObject({ 'virtual-size': 2 ** 30 });
  await page.reload();
  await expect(page.getByText('None yet.')).toBeVisible();
  await page.close();
});

test('where storage is refused, as in a private window, a download is collected in memory', async ({
  images,
  privateProfile: profile,
}) => {
  const page = await profile.context.newPage();
  await page.goto('/');
  await withoutPicker(page);
  const image = await images.compressed();
  await drop(page, image);
  const file = await download(profile, page, 'compressed.raw', () => start(page));
  expect(await sha256(file)).toBe(await images.rawDigest(image));
  await expect(page.getByText('compressed.raw (64 MiB) was passed to the browser')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Free the space' })).toHaveCount(0);

  await drop(page, await images.large());
  await titled(page, 'large.qcow2');
  await mapLoaded(page);
  await start(page);
  await expect(page.getByRole('alert')).toContainText('1 GiB is too much for this window.');
  await page.close();
});
