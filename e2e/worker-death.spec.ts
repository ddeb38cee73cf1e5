/** A worker that dies, as one does that runs out of memory: the page says so, and goes on with a new one. */
import {
  countWorkers,
  drop,
  expect,
  killWorkers,
  mapLoaded,
  test,
  titled,
  watchWorkers,
  withoutPicker,
} from './fixtures.js';

test('the page says that its worker died, and opens the next file with a new one', async ({ page, images }) => {
  await watchWorkers(page);
  await page.reload();
  await drop(page, await images.compressed());
  await mapLoaded(page);
  await killWorkers(page);
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByText('The worker that reads compressed.qcow2 stopped.')).toBeVisible();

  await drop(page, await images.plain());
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('plain.qcow2');
  await mapLoaded(page);
  await expect(page.getByRole('alert')).toHaveCount(0);
  expect(await countWorkers(page)).toBe(2);
});

test('"Try again" opens an image whose worker died once more', async ({ page, images }) => {
  await watchWorkers(page);
  await page.reload();
  await drop(page, await images.compressed());
  await mapLoaded(page);
  await killWorkers(page);
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('alert').getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('alert')).toHaveCount(0);
  await titled(page, 'compressed.qcow2');
  await mapLoaded(page);
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByText(/Page 2 of /)).toBeVisible();

  await withoutPicker(page);
  await killWorkers(page);
  // The table of extents may be waiting for the worker too, and be refused above.
  const card = page.getByRole('region', { name: 'Take it away' });
  await card.getByRole('button', { name: 'Download as raw' }).click();
  await card.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByText('compressed.raw (64 MiB) was passed to the browser')).toBeVisible();
});

test('"Try again" takes the disk of a snapshot away whose worker died', async ({ page, images }) => {
  await watchWorkers(page);
  await page.reload();
  await withoutPicker(page);
  await drop(page, await images.history());
  await page.getByRole('button', { name: 'Open before the upgrade' }).click();
  await titled(page, 'before the upgrade');
  await mapLoaded(page);
  await killWorkers(page);
  await page.getByRole('button', { name: 'Download as raw' }).click();
  // The table of extents may be waiting for the worker too.
  const refused = page.getByRole('alert').filter({ hasText: 'before the upgrade in history.qcow2' });
  await refused.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByText('history (before the upgrade).raw (8 MiB) was passed to the browser')).toBeVisible();
  await titled(page, 'before the upgrade');
});
