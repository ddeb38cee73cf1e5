/**
 * Images that live in the browser: created, still there after a reload, renamed, deleted, taken away as qemu-img wants
 * them.
 */
import {
  choose,
  create,
  drop,
  expect,
  mapLoaded,
  ONE_BROWSER,
  opfsFiles,
  row,
  test,
  withoutPicker,
} from './fixtures.js';
import { takeAway } from './take-away.js';

test('an image is created, exists after a reload, and has the requested properties', async ({ page, profile }) => {
  await create(page, 'disk.qcow2', '10G');
  await page.reload();
  await expect(row(page, 'disk.qcow2')).toContainText('Disk of 10 GiB, file of 256 KiB, version 3');
  expect(await takeAway(profile, page, 'disk.qcow2')).toMatchObject({
    'virtual-size': 10 * 2 ** 30,
    'cluster-size': 65536,
    'format-specific': { data: { compat: '1.1', 'refcount-bits': 16, 'lazy-refcounts': false, 'extended-l2': false } },
  });
});

test('every option is applied to the image', ONE_BROWSER, async ({ page, profile }) => {
  await create(page, 'odd.qcow2', '67,108,865', async () => {
    await page.getByLabel('Cluster size').selectOption('128 KiB');
    await page.getByText('Advanced').click();
    await page.getByLabel('Refcount bits').selectOption('8');
    await page.getByLabel('Compression').selectOption('Zstandard (zstd)');
    await page.getByLabel('Preallocation').selectOption('Tables (metadata)');
    await page.getByLabel('Subclusters').check();
    await page.getByLabel('Lazy refcounts').check();
  });
  expect(await takeAway(profile, page, 'odd.qcow2')).toMatchObject({
    'virtual-size': 64 * 2 ** 20 + 512,
    'cluster-size': 2 ** 17,
    'format-specific': {
      data: { 'refcount-bits': 8, 'lazy-refcounts': true, 'extended-l2': true, 'compression-type': 'zstd' },
    },
  });
  await create(page, 'old.qcow2', '512M', async () => {
    await page.getByLabel('Version').selectOption('2, for older programs');
    await page.getByLabel('Cluster size').selectOption('4 KiB');
  });
  expect(await takeAway(profile, page, 'old.qcow2')).toMatchObject({
    'virtual-size': 512 * 2 ** 20,
    'cluster-size': 4096,
    'format-specific': { data: { compat: '0.10' } },
  });
});

test('invalid input is refused beside its field, and can be corrected', ONE_BROWSER, async ({ page }) => {
  await page.getByRole('button', { name: 'Create an image' }).click();
  const dialog = page.getByRole('dialog', { name: 'Create an image' });
  const submit = dialog.getByRole('button', { name: 'Create', exact: true });
  await dialog.getByLabel('Name', { exact: true }).fill('a/b');
  await dialog.getByLabel('Size of the disk').fill('10GB');
  await dialog.getByLabel('Version').selectOption('2, for older programs');
  await dialog.getByText('Advanced').click();
  await dialog.getByLabel('Subclusters').check();
  await dialog.getByText('Advanced').click();
  await submit.click();
  const name = dialog.getByLabel('Name', { exact: true });
  await expect(name).toBeFocused();
  await expect(name).toHaveAccessibleDescription(/A name cannot have a slash in it/);
  await expect(dialog.getByLabel('Size of the disk')).toHaveAccessibleDescription(/"GB" can mean two sizes/);
  // Half a kilobyte instead of 100 GB: a number alone is refused, and what is made is said before it is.
  await dialog.getByLabel('Size of the disk').fill('100');
  await expect(dialog.getByLabel('Size of the disk')).toHaveAccessibleDescription(/"100" has no unit/);
  await dialog.getByLabel('Size of the disk').fill('100 bytes');
  await expect(dialog.getByLabel('Size of the disk')).toHaveAccessibleDescription(/This makes a disk of 512 bytes\./);
  // What is folded away opens when something in it is refused.
  await expect(dialog.getByLabel('Subclusters')).toHaveAccessibleDescription(/choose version 3/);
  await expect(dialog.getByLabel('Subclusters')).toBeVisible();

  await name.fill('disk.qcow2');
  await dialog.getByLabel('Version').selectOption('3, read by QEMU since 2012');
  await expect(dialog.getByLabel('Subclusters')).not.toHaveAccessibleDescription(/choose version 3/);
  await dialog.getByLabel('Size of the disk').fill('1P');
  await dialog.getByLabel('Cluster size').selectOption('512 bytes');
  await dialog.getByLabel('Subclusters').uncheck();
  await submit.click();
  await expect(dialog.getByRole('alert')).toContainText('is too large for clusters of 512');
  expect(await opfsFiles(page)).toEqual([]);
  await dialog.getByLabel('Size of the disk').fill('1G');
  await dialog.getByRole('button', { name: 'Try again' }).click();
  await expect(row(page, 'disk.qcow2')).toContainText('Disk of 1 GiB');
  await expect(page.getByRole('button', { name: 'Create an image' })).toBeFocused();
});

test(
  'an overlay takes the size of its base, which then is neither deleted nor renamed',
  ONE_BROWSER,
  async ({ page, profile }) => {
    await create(page, 'base.qcow2', '5G');
    await create(page, 'over.qcow2', '', async () => {
      await page.getByText('Advanced').click();
      await page.getByLabel('Backing file').selectOption('base.qcow2');
    });
    await expect(row(page, 'base.qcow2')).toContainText('Base of over.qcow2');
    await takeAway(profile, page, 'base.qcow2'); // qemu-img looks for it beside the overlay
    const info = await takeAway(profile, page, 'over.qcow2');
    expect(info).toMatchObject({
      'virtual-size': 5 * 2 ** 30,
      'backing-filename': 'base.qcow2',
      'backing-filename-format': 'qcow2',
    });
    await page.getByRole('button', { name: 'Inspect over.qcow2' }).click();
    const chain = page.getByRole('region', { name: 'Backing chain' });
    await expect(chain.getByRole('listitem')).toHaveText(['over.qcow2 qcow2, 5 GiB', 'base.qcow2 qcow2, 5 GiB']);
    await page.getByRole('button', { name: 'Close' }).click();

    await page.getByRole('button', { name: 'Delete base.qcow2' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete base.qcow2?' });
    await dialog.getByRole('button', { name: 'Delete it' }).click();
    await expect(dialog.getByRole('alert')).toContainText('"base.qcow2" is the base of "over.qcow2"');
    await dialog.getByRole('button', { name: 'Do not delete' }).click();
    await expect(row(page, 'base.qcow2')).toBeVisible();
    await page.getByRole('button', { name: 'Rename base.qcow2' }).click();
    await page.getByLabel('New name for base.qcow2').fill('other.qcow2');
    await page.keyboard.press('Enter');
    await expect(page.getByText('base.qcow2 is the base of other images.')).toBeVisible();
  },
);

test('an image is renamed in its place, with the keyboard', async ({ page }) => {
  await create(page, 'first.qcow2', '1M');
  await create(page, 'second.qcow2', '2M');
  const rename = page.getByRole('button', { name: 'Rename second.qcow2' });
  await rename.focus();
  await page.keyboard.press('Enter');
  const field = page.getByLabel('New name for second.qcow2');
  await expect(field).toBeFocused();
  await page.keyboard.type('first.qcow2');
  await page.keyboard.press('Enter');
  await expect(field).toHaveAccessibleDescription('There is an image of the name first.qcow2 already.');
  await page.keyboard.press('Escape');
  await expect(rename).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(field).toBeFocused();
  await page.keyboard.type('third.qcow2');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'Rename third.qcow2' })).toBeFocused();
  await page.reload();
  await expect(row(page, 'third.qcow2')).toContainText('Disk of 2 MiB');
  expect(await opfsFiles(page)).toEqual(['first.qcow2', 'third.qcow2']);
});

test('an image is deleted when that is confirmed, and only then', async ({ page }) => {
  await create(page, 'disk.qcow2', '1M');
  const button = page.getByRole('button', { name: 'Delete disk.qcow2' });
  await button.click();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(button).toBeFocused();
  await button.click();
  await page.getByRole('button', { name: 'Delete it' }).click();
  await expect(page.getByText('None yet.')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Images in this browser' })).toBeFocused();
  expect(await opfsFiles(page)).toEqual([]);
});

test('a stored image is inspected like any other', ONE_BROWSER, async ({ page }) => {
  await create(page, 'disk.qcow2', '3G');
  await page.getByRole('button', { name: 'Inspect disk.qcow2' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('disk.qcow2');
  await mapLoaded(page);
  await expect(page.getByRole('region', { name: 'Format' })).toContainText('3 GiB (3,221,225,472 bytes)');
  await expect(page.getByRole('region', { name: 'Keep it' })).toHaveCount(0);
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(row(page, 'disk.qcow2')).toBeVisible();
});

test('a damaged image stays on the list with the reason, and can be deleted', ONE_BROWSER, async ({ page }) => {
  await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle('qcow2', { create: true });
    const writable = await (await folder.getFileHandle('broken.qcow2', { create: true })).createWritable();
    await writable.write(new Uint8Array([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]));
    await writable.close();
  });
  await page.reload();
  await expect(row(page, 'broken.qcow2')).toContainText('Cannot be read:');
  await page.getByRole('button', { name: 'Inspect broken.qcow2' }).click();
  await expect(page.getByRole('alert')).toContainText('broken.qcow2 is damaged.');
  await page.getByRole('button', { name: 'Delete broken.qcow2' }).click();
  await page.getByRole('button', { name: 'Delete it' }).click();
  await expect(page.getByText('None yet.')).toBeVisible();
});

test('an image that is dropped on a dialog leaves it, and what is in it', ONE_BROWSER, async ({ page, images }) => {
  await page.getByRole('button', { name: 'Create an image' }).click();
  const name = page.getByRole('dialog').getByLabel('Name', { exact: true });
  await name.fill('mine.qcow2');
  await drop(page, await images.plain());
  await expect(name).toHaveValue('mine.qcow2');
  await expect(page.getByText('Opening plain.qcow2')).toHaveCount(0);
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await drop(page, await images.plain());
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('plain.qcow2');
});

test('the storage bar counts the temporary file of a download', async ({ page, images }) => {
  await choose(page, 'Copy files in', await images.plain());
  await withoutPicker(page);
  await expect(row(page, 'plain.qcow2')).toBeVisible();
  const meter = page.getByRole('meter', { name: 'Storage of this page' });
  const used = async (): Promise<number> => Number(await meter.getAttribute('value'));
  const before = await used();
  await page.getByRole('button', { name: 'Download as raw: plain.qcow2' }).click();
  await expect(page.getByRole('button', { name: 'Free the space' })).toBeVisible();
  await expect.poll(used).toBeGreaterThan(before + 2 ** 20);
  const during = await used();
  await page.getByRole('button', { name: 'Free the space' }).click();
  await expect.poll(used).toBeLessThan(during - 2 ** 20);
});
