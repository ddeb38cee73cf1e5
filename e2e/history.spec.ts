/** What an image keeps beside its disk: snapshots, shown and taken away as qemu-img has them, and what bitmaps mark. */
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { download, drop, expect, mapLoaded, ONE_BROWSER, test, withoutPicker } from './fixtures.js';
import { qemuImg, sha256 } from './images.js';

test('a snapshot is shown, downloaded as raw from its page and from the list, and closed again', async ({
  page,
  profile,
  images,
}) => {
  const image = await images.history();
  const expected = async (id: number): Promise<string> => {
    const raw = join(images.folder, `snapshot-${id}.raw`);
    await qemuImg('convert', '-l', `snapshot.id=${id}`, '-O', 'raw', image, raw);
    await truncate(raw, 8 * 2 ** 20); // qemu-img shows a snapshot in the size that the disk has now
    return sha256(raw);
  };
  await withoutPicker(page);
  await drop(page, image);
  const card = page.getByRole('region', { name: 'Snapshots', exact: true });
  await expect(card.getByRole('row').nth(2)).toContainText('before the upgrade');
  await card.getByRole('button', { name: 'Open before the upgrade' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('before the upgrade');
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
  await mapLoaded(page);
  await expect(page.getByText('history (before the upgrade).raw: 8 MiB file; 3 MiB of it data')).toBeVisible();
  const second = await download(profile, page, 'history (before the upgrade).raw', () =>
    page.getByRole('button', { name: 'Download as raw' }).click(),
  );
  expect(await sha256(second)).toBe(await expected(2));

  await page.getByRole('button', { name: 'Back to history.qcow2' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('history.qcow2');
  await expect
    .poll(() => page.evaluate(() => document.activeElement?.getAttribute('aria-label')))
    .toBe('Open before the upgrade');
  await expect(page.getByText('history.raw: 16 MiB file;')).toBeVisible();
  const first = await download(profile, page, 'history (first).raw', () =>
    card.getByRole('button', { name: 'Download as raw: first' }).click(),
  );
  expect(await sha256(first)).toBe(await expected(1));
});

test('bitmaps show whether they record, and on request what they mark', ONE_BROWSER, async ({ page, images }) => {
  await drop(page, await images.history());
  const card = page.getByRole('region', { name: 'Dirty bitmaps' });
  const nightly = card.getByRole('row').filter({ hasText: 'nightly' });
  const stopped = card.getByRole('row').filter({ hasText: 'stopped' });
  await expect(nightly).toContainText('Recording what is written');
  await expect(stopped).toContainText('Not recording');
  await expect(nightly).toContainText('Not counted');
  await card.getByRole('button', { name: 'Count what they mark' }).click();
  await expect(nightly).toContainText('3 MiB, 19%');
  await expect(stopped).toContainText('128 KiB, 0.8%');
});
