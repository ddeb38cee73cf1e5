/**
 * The main job: a real file system, taken away as raw by every way that the page has, byte for byte as qemu-img makes
 * it.
 */
import type { Page } from '@playwright/test';
import {
  afterDoubleClick,
  download,
  drop,
  expect,
  mapLoaded,
  opfsFiles,
  test,
  titled,
  withoutPicker,
} from './fixtures.js';
import { sha256 } from './images.js';

/** Answers the file picker, which no test can operate, with a real file in OPFS. */
function withPicker(page: Page): Promise<void> {
  return page.evaluate(() => {
    const showSaveFilePicker = async (): Promise<FileSystemFileHandle> => {
      const root = await navigator.storage.getDirectory();
      return root.getFileHandle('picked.raw', { create: true });
    };
    Object.assign(window, { showSaveFilePicker });
  });
}

/** Answers the file picker as a person does who closes it. */
function closePicker(page: Page): Promise<void> {
  return page.evaluate(() => {
    const showSaveFilePicker = async (): Promise<never> => {
      throw new DOMException('The user aborted a request.', 'AbortError');
    };
    Object.assign(window, { showSaveFilePicker });
  });
}

/** The SHA-256 of the picked file; null when there is none or nothing in it. */
function pickedDigest(page: Page): Promise<string | null> {
  return page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle('picked.raw').catch(() => null);
    const file = await handle?.getFile();
    if (!file || file.size === 0) return null;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
    return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  });
}

const start = (page: Page): Promise<void> => page.getByRole('button', { name: 'Download as raw' }).click();

for (const kind of ['plain', 'compressed'] as const) {
  test(`${kind}, into a file from the picker`, async ({ page, images }) => {
    const image = await images[kind]();
    await withPicker(page);
    await drop(page, image);
    await mapLoaded(page);
    await expect(page.getByText(`${kind}.raw: 64 MiB file;`)).toBeVisible();
    await start(page);
    await expect(page.getByText('is saved. It took')).toBeVisible({ timeout: 30_000 });
    expect(await pickedDigest(page)).toBe(await images.rawDigest(image));
  });

  test(`${kind}, through a temporary file`, async ({ page, profile, images }) => {
    const image = await images[kind]();
    await withoutPicker(page);
    await drop(page, image);
    const file = await download(profile, page, `${kind}.raw`, () => start(page));
    expect(await sha256(file)).toBe(await images.rawDigest(image));
    await page.getByRole('button', { name: 'Free the space' }).click();
    await expect.poll(() => opfsFiles(page)).toEqual([]);
    // Not toBeFocused: after a download Firefox's own panel has the window's focus.
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe('Download as raw');
  });
}

test('a chain is flattened', async ({ page, profile, images }) => {
  const { base, middle, leaf } = await images.chain();
  await withoutPicker(page);
  await drop(page, leaf, middle, base);
  const file = await download(profile, page, 'leaf.raw', () => start(page));
  expect(await sha256(file)).toBe(await images.rawDigest(leaf));
});

test('a download shows its progress, and leaves no file when it is cancelled', async ({ page, images }) => {
  await withPicker(page);
  await drop(page, await images.large());
  await mapLoaded(page);
  await start(page);
  const bar = page.getByRole('progressbar');
  await expect(bar).toBeVisible();
  await expect(page.locator('.figures')).toContainText(/\d+% ?: .* of 1 GiB/);
  await afterDoubleClick(page);
  await page.getByRole('button', { name: 'Cancel download' }).click();
  await expect(page.getByText('Cancelled. Nothing half-written was left.')).toBeVisible();
  expect(await pickedDigest(page)).toBeNull();
});

/** Lets the file picker of {@link withPicker} wait until the returned function is called. */
async function holdPicker(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => {
    const { showSaveFilePicker: pick } = window as unknown as { showSaveFilePicker: () => Promise<unknown> };
    const held = new Promise<void>((resolve) => Object.assign(window, { letPick: resolve }));
    Object.assign(window, { showSaveFilePicker: () => held.then(pick) });
  });
  return () => page.evaluate(() => (window as unknown as { letPick: () => void }).letPick());
}

test('a download continues while another image is opened, and when that is closed', async ({ page, images }) => {
  const image = await images.compressed();
  await withPicker(page);
  const letPick = await holdPicker(page);
  await drop(page, image);
  await titled(page, 'compressed.qcow2');
  await start(page);
  await drop(page, await images.plain());
  await titled(page, 'plain.qcow2');
  const background = page.getByRole('region', { name: 'Download of compressed.raw' });
  await expect(background).toContainText('Choose where to save the file.');
  await page.getByRole('button', { name: 'Close' }).click();
  await letPick();
  await expect(background.getByText('is saved. It took')).toBeVisible({ timeout: 30_000 });
  expect(await pickedDigest(page)).toBe(await images.rawDigest(image));
  await background.getByRole('button', { name: 'Dismiss' }).click();
  await expect(background).toHaveCount(0);
  await expect(page.getByRole('main')).toBeFocused();
});

test('a background download that fails can be retried, and dismissed', async ({ page, images }) => {
  const image = await images.plain();
  const failPicker = (): Promise<void> =>
    page.evaluate(() => {
      const fail = new Promise<never>((_, reject) => {
        Object.assign(window, { failPick: () => reject(new DOMException('not now', 'InvalidStateError')) });
      });
      Object.assign(window, { showSaveFilePicker: () => fail });
    });
  const letFail = (): Promise<void> => page.evaluate(() => (window as unknown as { failPick: () => void }).failPick());
  await failPicker();
  await drop(page, image);
  await titled(page, 'plain.qcow2');
  await start(page);
  await drop(page, await images.compressed());
  await titled(page, 'compressed.qcow2');
  const background = page.getByRole('region', { name: 'Download of plain.raw' });
  await letFail();
  await expect(background.getByRole('alert')).toContainText('plain.qcow2');
  await closePicker(page);
  await background.getByRole('button', { name: 'Try again' }).click();
  await expect(background.getByRole('alert')).toContainText('plain.qcow2');
  await afterDoubleClick(page);
  await withPicker(page);
  await background.getByRole('button', { name: 'Try again' }).click();
  await expect(background.getByText('is saved. It took')).toBeVisible({ timeout: 30_000 });
  expect(await pickedDigest(page)).toBe(await images.rawDigest(image));
  await background.getByRole('button', { name: 'Dismiss' }).click();
  await expect(background).toHaveCount(0);

  await failPicker();
  await start(page);
  await page.getByRole('button', { name: 'Close' }).click();
  await letFail();
  const closed = page.getByRole('region', { name: 'Download of compressed.raw' });
  await closed.getByRole('button', { name: 'Dismiss' }).click();
  await expect(closed).toHaveCount(0);
});

test('a background download can be cancelled, and leaves no file', async ({ page, images }) => {
  await withPicker(page);
  await drop(page, await images.large());
  await titled(page, 'large.qcow2');
  await start(page);
  await expect(page.getByRole('progressbar')).toBeVisible();
  await drop(page, await images.plain());
  await titled(page, 'plain.qcow2');
  const background = page.getByRole('region', { name: 'Download of large.raw' });
  await expect(background.getByRole('progressbar')).toBeVisible();
  await background.getByRole('button', { name: 'Cancel' }).click();
  await expect(background).toContainText('Cancelled. Nothing half-written was left.');
  expect(await pickedDigest(page)).toBeNull();
});

test('closing the picker is not an error', async ({ page, images }) => {
  await closePicker(page);
  await drop(page, await images.plain());
  await start(page);
  await expect(page.getByRole('button', { name: 'Download as raw' })).toBeEnabled();
  await expect(page.getByRole('alert')).toHaveCount(0);
});

test('a disk that exceeds the quota is refused with the reason, before anything is written', async ({
  page,
  images,
}) => {
  await withoutPicker(page);
  await drop(page, await images.tooLarge());
  await mapLoaded(page);
  await start(page);
  await expect(page.getByRole('alert')).toContainText(
    /The file needs 8 TiB \(8,796,093,022,208 bytes\), and .* are free/,
  );
  expect(await opfsFiles(page)).toEqual([]);
});
