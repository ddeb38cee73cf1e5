/** Two tabs and the same images: each sees what the other does, and neither takes an image away from the other. */
import { create, expect, holdImage, openTab, row, test, titled } from './fixtures.js';

test('opening an image can be retried after a failure', async ({ page }) => {
  await create(page, 'disk.qcow2', '1M');
  const letGo = await holdImage(page, 'disk.qcow2', 'exclusive');
  await page.getByRole('button', { name: 'Inspect disk.qcow2' }).click();
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('disk.qcow2 is in use here, or open in another tab.');
  await letGo();
  await alert.getByRole('button', { name: 'Try again' }).click();
  await titled(page, 'disk.qcow2');
  await expect(alert).toHaveCount(0);
});

test('changes of one tab appear in the other, and an image that is open there is neither renamed nor deleted', async ({
  page,
  profile,
}) => {
  const other = await openTab(profile);
  await other.goto('/');
  await expect(other.getByText('None yet.')).toBeVisible();
  // As a person does who goes from one to the other: a browser gives a tab in the background little time.
  await page.bringToFront();
  await create(page, 'disk.qcow2', '1G');
  await expect(row(other, 'disk.qcow2')).toBeVisible();

  await page.getByRole('button', { name: 'Inspect disk.qcow2' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('disk.qcow2');
  // Two that read do not disturb each other.
  await other.bringToFront();
  await other.getByRole('button', { name: 'Inspect disk.qcow2' }).click();
  await expect(other.getByRole('heading', { level: 1 })).toHaveText('disk.qcow2');
  await other.getByRole('button', { name: 'Close' }).click();

  await other.getByRole('button', { name: 'Rename disk.qcow2' }).click();
  const field = other.getByLabel('New name for disk.qcow2');
  await field.fill('mine.qcow2');
  await field.press('Enter');
  await expect(field).toHaveAccessibleDescription(/disk.qcow2 is in use here, or open in another tab\./);
  await field.press('Escape');
  await other.getByRole('button', { name: 'Delete disk.qcow2' }).click();
  await other.getByRole('button', { name: 'Delete it' }).click();
  await expect(other.getByRole('alert')).toContainText('disk.qcow2 is in use here, or open in another tab.');

  await page.bringToFront();
  await page.getByRole('button', { name: 'Close' }).click();
  await other.bringToFront();
  await other.getByRole('button', { name: 'Try again' }).click();
  await expect(other.getByText('None yet.')).toBeVisible();
  await expect(page.getByText('None yet.')).toBeVisible();
  await other.close();
});
