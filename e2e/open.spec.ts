/** Opening images: dropped, chosen, several at once, with a file of the chain missing, and the sample. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { choose, download, drop, expect, mapLoaded, ONE_BROWSER, test, titled, withoutPicker } from './fixtures.js';
import { qemuImg, qemuIo, sha256 } from './images.js';

test('the empty page describes itself, and says that nothing leaves the computer', ONE_BROWSER, async ({ page }) => {
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('See inside a virtual disk');
  await expect(page.getByText('Nothing leaves your computer.')).toBeVisible();
});

test('a dropped image shows its facts as qemu-img has them', async ({ page, images }) => {
  const image = await images.plain();
  const expected = JSON.parse(await qemuImg('info', '--output=json', image));
  await drop(page, image);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('plain.qcow2');
  const format = page.getByRole('region', { name: 'Format' });
  await expect(format).toContainText('64 MiB (67,108,864 bytes)');
  await expect(format).toContainText('64 KiB (65,536 bytes)');
  await expect(format).toContainText('3 (compat 1.1)');
  await expect(format).toContainText(`${expected['format-specific'].data['refcount-bits']} bits`);
  await mapLoaded(page);
  const map: { data: boolean; length: number }[] = JSON.parse(await qemuImg('map', '--output=json', image));
  const stored = map.filter((extent) => extent.data).reduce((sum, extent) => sum + extent.length, 0);
  await expect(page.getByText('64 MiB file;')).toContainText(`${shortSize(stored)} of it data`);
});

/** MiB as the page writes them in this range. */
function shortSize(bytes: number): string {
  return `${Math.round((bytes / 2 ** 20) * 10) / 10} MiB`;
}

test('the page shows when a file is dragged over the window, and when it leaves', async ({ page }) => {
  const drag = (type: string): Promise<boolean> =>
    page.evaluate((name) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(['x'], 'x'));
      return document.body.dispatchEvent(new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));
    }, type);
  await drag('dragenter');
  await expect(page.getByText('Drop to look inside')).toBeVisible();
  await drag('dragleave');
  await expect(page.getByText('Drop to look inside')).toBeHidden();
});

test('an image can be chosen, and another one after it', async ({ page, images }) => {
  await choose(page, 'Choose files', await images.plain());
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('plain.qcow2');
  await choose(page, 'Open another', await images.compressed());
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('compressed.qcow2');
  await mapLoaded(page);
  await expect(page.getByRole('list', { name: 'Legend' })).toContainText('Compressed');
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('See inside a virtual disk');
  await expect(page.getByRole('main')).toBeFocused();
});

test('several files become one chain, the leaf on top', async ({ page, images }) => {
  const { base, middle, leaf } = await images.chain();
  await drop(page, base, leaf, middle);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('leaf.qcow2');
  const layers = page.getByRole('region', { name: 'Backing chain' }).getByRole('listitem');
  await expect(layers).toHaveCount(3);
  await expect(layers.nth(0)).toContainText('leaf.qcow2');
  await expect(layers.nth(1)).toContainText('middle.qcow2');
  await expect(layers.nth(2)).toContainText('base.raw');
  await mapLoaded(page);
  await expect(page.getByRole('list', { name: 'Legend' })).toContainText('From backing file');
});

test(
  'files that the chain does not name are listed, and can be opened instead',
  ONE_BROWSER,
  async ({ page, images }) => {
    await drop(page, await images.plain(), await images.compressed());
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('plain.qcow2');
    await page.getByRole('button', { name: 'Open compressed.qcow2 instead' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('compressed.qcow2');
  },
);

test('a missing backing file is requested by name, and can be dropped', ONE_BROWSER, async ({ page, images }) => {
  const { base, middle, leaf } = await images.chain();
  await drop(page, leaf);
  await expect(page.getByText('This image is an overlay over middle.qcow2.')).toBeVisible();
  await mapLoaded(page);
  await expect(page.getByRole('list', { name: 'Legend' })).toContainText('Unknown');
  await expect(page.getByRole('region', { name: 'Format' })).toContainText('8 MiB (8,388,608 bytes)');
  await expect(page.getByRole('button', { name: 'Download as raw' })).toHaveAttribute('aria-disabled', 'true');

  await drop(page, middle);
  await expect(page.getByText('middle.qcow2 is an overlay over base.raw.')).toBeVisible();
  await drop(page, base);
  await expect(page.getByText('is an overlay over')).toHaveCount(0);
  await mapLoaded(page);
  await expect(page.getByRole('list', { name: 'Legend' })).not.toContainText('Unknown');
  await expect(page.getByRole('button', { name: 'Download as raw' })).toHaveAttribute('aria-disabled', 'false');
});

test(
  'other files dropped with a missing backing file are listed, and can be opened instead',
  ONE_BROWSER,
  async ({ page, images }) => {
    const { middle, leaf } = await images.chain();
    await drop(page, leaf);
    await expect(page.getByText('This image is an overlay over middle.qcow2.')).toBeVisible();
    await drop(page, middle, await images.plain());
    await expect(page.getByText('middle.qcow2 is an overlay over base.raw.')).toBeVisible();
    await page.getByRole('button', { name: 'Open plain.qcow2 instead' }).click();
    await titled(page, 'plain.qcow2');
  },
);

test('a backing file with another name can be chosen for it', ONE_BROWSER, async ({ page, images }) => {
  const { base, middle } = await images.chain();
  const renamed = await images.file('renamed (1).raw', await readFile(base));
  await drop(page, middle);
  await choose(page, 'Choose base.raw', renamed);
  await expect(page.getByText('is an overlay over')).toHaveCount(0);
  await mapLoaded(page);
  await expect(page.getByRole('list', { name: 'Legend' })).toContainText('From backing file');
});

test('a missing data file is requested by name, and a file of any name can be chosen', async ({
  page,
  profile,
  images,
}) => {
  const data = join(images.folder, 'data.raw');
  const image = join(images.folder, 'external.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${data}`, image, '4M');
  await qemuIo(image, 'write -q -P 7 1M 1M');
  await withoutPicker(page);
  await drop(page, image);
  await expect(page.getByText('This image keeps its data in data.raw.')).toBeVisible();
  await expect(page.getByRole('region', { name: 'Format' })).toContainText('4 MiB (4,194,304 bytes)');
  await mapLoaded(page);
  await expect(page.getByRole('list', { name: 'Legend' })).toContainText('Data');
  await choose(page, 'Choose data.raw', await images.file('renamed (2).raw', await readFile(data)));
  await expect(page.getByText('keeps its data in')).toHaveCount(0);
  await mapLoaded(page);
  const button = page.getByRole('button', { name: 'Download as raw' });
  const file = await download(profile, page, 'external.raw', () => button.click());
  expect(await sha256(file)).toBe(await images.rawDigest(image));
});

test('the sample image is generated, and qemu-img finds it clean', async ({ page, images }) => {
  await page.evaluate(() => {
    const Native = File;
    window.File = class extends Native {
      constructor(...args: ConstructorParameters<typeof File>) {
        super(...args);
        Object.assign(window, { made: this });
      }
    };
  });
  await page.getByRole('button', { name: 'Try a sample image' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('sample.qcow2');
  await expect(page.getByRole('region', { name: 'Snapshots', exact: true })).toContainText('before the log');
  await mapLoaded(page);
  const legend = page.getByRole('list', { name: 'Legend' });
  for (const kind of ['Data', 'Compressed', 'Zeros', 'Unallocated']) await expect(legend).toContainText(kind);

  const base64 = await page.evaluate(async () => {
    const { made } = window as unknown as { made: File };
    const url = await new Promise<string>((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(String(reader.result));
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(made);
    });
    return url.slice(url.indexOf(',') + 1);
  });
  const path = join(images.folder, 'sample.qcow2');
  await writeFile(path, Buffer.from(base64, 'base64'));
  const report = JSON.parse(await qemuImg('check', '--output=json', path));
  expect(report.corruptions ?? 0).toBe(0);
  expect(report.leaks ?? 0).toBe(0);
  expect(report['compressed-clusters']).toBeGreaterThan(0);
  const raw = join(images.folder, 'sample.raw');
  await qemuImg('convert', '-O', 'raw', path, raw);
  expect((await readFile(raw)).includes('00000100 disk0: cluster')).toBe(true);
});

test(
  'an encrypted image shows its LUKS header as qemu-img does, and says that its disk cannot be read',
  ONE_BROWSER,
  async ({ page, images }) => {
    const image = await images.encrypted();
    const { data } = JSON.parse(await qemuImg('info', '-f', 'qcow2', '--output=json', image))['format-specific'];
    const luks = data.encrypt;
    const active = luks.slots.findIndex((slot: { active: boolean }) => slot.active);
    await drop(page, image);
    await titled(page, 'encrypted.qcow2');
    const card = page.getByRole('region', { name: 'Encryption (LUKS)' });
    await expect(card).toContainText(`${luks['cipher-alg']}, ${luks['cipher-mode']}`);
    await expect(card).toContainText(luks['ivgen-alg']);
    await expect(card).toContainText(luks['hash-alg']);
    await expect(card).toContainText(luks.uuid);
    await expect(card).toContainText(`1 of ${luks.slots.length} key slots in use`);
    const iterations = luks.slots[active].iters.toLocaleString('en');
    await expect(card.getByRole('listitem')).toContainText(`Slot ${active} ${iterations} iterations`);
    await expect(page.getByText('It is encrypted, and this page asks for no passphrase')).toBeVisible();
    await expect(page.getByRole('button', { name: 'Download as raw' })).toHaveAttribute('aria-disabled', 'true');
  },
);
