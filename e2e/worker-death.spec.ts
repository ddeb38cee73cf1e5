/** A worker that dies, as one does that runs out of memory: the page says so, and goes on with a new one. */
import { countWorkers, drop, expect, killWorkers, mapLoaded, test, watchWorkers } from './fixtures.js';

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
