/** What crashes in the middle of copying an image: the worker, and the whole tab. Nothing half-written stays. */
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { choose, create, expect, killWorkers, launchProfile, opfsFiles, row, test, watchWorkers } from './fixtures.js';
import { killTab } from './kill-tab.js';

/** Begins to copy a long image, and returns when some of it is there. */
async function beginCopying(page: Page, image: string): Promise<void> {
  await choose(page, 'Copy files in', image);
  await expect(page.locator('.figures')).toContainText(/[1-9]\d?(\.\d)?% ?: .* of 512 MiB/);
  expect((await opfsFiles(page)).filter((name) => name.startsWith('.tmp-'))).toHaveLength(1);
}

test('a worker that dies leaves no files, and a retry succeeds', async ({ page, images }) => {
  await watchWorkers(page);
  await page.reload();
  await create(page, 'before.qcow2', '1G');
  await beginCopying(page, await images.long());
  await killWorkers(page);
  const notice = page.getByRole('region', { name: 'Keeping long.qcow2' });
  await expect(notice.getByRole('alert')).toContainText('The worker that reads long.qcow2 stopped.');
  // The page has looked at the list with a new worker, which swept.
  await expect.poll(() => opfsFiles(page)).toEqual(['before.qcow2']);
  await notice.getByRole('button', { name: 'Try again' }).click();
  await expect(row(page, 'long.qcow2')).toContainText('Disk of 512 MiB', { timeout: 60_000 });
  expect(await opfsFiles(page)).toEqual(['before.qcow2', 'long.qcow2']);
});

test('a killed tab leaves no temporary files for the next visit, and its images exist', async ({ images, folder }) => {
  const home = join(folder, 'killed');
  let profile = await launchProfile(test.info(), home);
  try {
    const page = await profile.context.newPage();
    await page.goto('/');
    await create(page, 'before.qcow2', '1G');
    await beginCopying(page, await images.long());
    profile = await killTab(profile, page, home);
    const next = await profile.context.newPage();
    await next.goto('/');
    await expect(row(next, 'before.qcow2')).toContainText('Disk of 1 GiB');
    await expect.poll(() => opfsFiles(next)).toEqual(['before.qcow2']);
    await next.getByRole('button', { name: 'Inspect before.qcow2' }).click();
    await expect(next.getByRole('heading', { level: 1 })).toHaveText('before.qcow2');
  } finally {
    await profile.context.close();
  }
});
