/** Images that are copied into the browser: every byte, numbers while it runs, nothing left when it ends early. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import {
  afterDoubleClick,
  choose,
  create,
  download,
  drop,
  expect,
  holdImage,
  mapLoaded,
  ONE_BROWSER,
  opfsFiles,
  row,
  test,
  titled,
  withoutPicker,
} from './fixtures.js';
import { qemuImg, qemuIo, sha256 } from './images.js';

const keep = (page: Page): Promise<void> => page.getByRole('button', { name: 'Keep in this browser' }).click();

/** Whether leaving the page now would be asked about. */
function asksBeforeLeaving(page: Page): Promise<boolean> {
  return page.evaluate(() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true })));
}

for (const kind of ['plain', 'compressed'] as const) {
  test(`a real file system, ${kind}, is exported byte for byte, raw and as qcow2`, async ({
    page,
    profile,
    images,
  }) => {
    const image = await images[kind]();
    await drop(page, image);
    await keep(page);
    await expect(
      page.getByText(`${kind}.qcow2 (`).filter({ hasText: 'is now in this browser. It took' }),
    ).toBeVisible();
    await page.reload();
    await expect(row(page, `${kind}.qcow2`)).toContainText('Disk of 64 MiB');
    await withoutPicker(page);
    const take = (format: string): Promise<void> =>
      page.getByRole('button', { name: `Download as ${format}: ${kind}.qcow2` }).click();
    const raw = await download(profile, page, `${kind}.raw`, () => take('raw'));
    expect(await sha256(raw)).toBe(await images.rawDigest(image));
    const copy = await download(profile, page, `${kind}.qcow2`, () => take('qcow2'));
    expect(await sha256(copy)).toBe(await sha256(image));
    // The first download's temporary file went with the second; this one is freed by hand.
    await page.getByRole('button', { name: 'Free the space' }).click();
    // Not toBeFocused: after a download Firefox's own panel has the window's focus.
    const focused = (): Promise<string | null | undefined> =>
      page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    await expect.poll(focused).toBe(`Download as qcow2: ${kind}.qcow2`);
    await expect.poll(() => opfsFiles(page)).toEqual([`${kind}.qcow2`]);
  });
}

test('an image is written directly into a file from the picker', async ({ page, images }) => {
  const image = await images.compressed();
  await choose(page, 'Copy files in', image);
  await expect(row(page, 'compressed.qcow2')).toBeVisible();
  await page.evaluate(() => {
    const showSaveFilePicker = async ({ suggestedName }: { suggestedName: string }): Promise<FileSystemFileHandle> =>
      (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
    Object.assign(window, { showSaveFilePicker });
  });
  const digest = (name: string): Promise<string> =>
    page.evaluate(async (path) => {
      const handle = await (await navigator.storage.getDirectory()).getFileHandle(path);
      const bytes = await (await handle.getFile()).arrayBuffer();
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    }, name);
  await page.getByRole('button', { name: 'Download as raw: compressed.qcow2' }).click();
  await expect(page.getByText('compressed.raw (64 MiB) is saved.')).toBeVisible();
  expect(await digest('compressed.raw')).toBe(await images.rawDigest(image));
  await page.getByRole('button', { name: 'Download as qcow2: compressed.qcow2' }).click();
  await expect(page.getByText('compressed.qcow2 (').filter({ hasText: 'is saved.' })).toBeVisible();
  expect(await digest('compressed.qcow2')).toBe(await sha256(image));
});

test('copying shows its progress, asks before the page is left, and leaves no file when it is cancelled', async ({
  page,
  images,
}) => {
  await drop(page, await images.large());
  await mapLoaded(page);
  expect(await asksBeforeLeaving(page)).toBe(false);
  await keep(page);
  const copying = page.getByRole('region', { name: 'Keeping large.qcow2' });
  await expect(copying).toBeInViewport();
  await expect(copying.locator('.figures')).toContainText(/[1-9]\d?(\.\d)?% ?: .* of 1 GiB.* a second.* left/);
  expect(await asksBeforeLeaving(page)).toBe(true);
  expect((await opfsFiles(page)).filter((name) => name.startsWith('.tmp-'))).toHaveLength(1);
  await copying.getByRole('button', { name: 'Cancel' }).click();
  await expect(copying).toContainText('cancelled. Nothing half-written was left.');
  expect(await opfsFiles(page)).toEqual([]);
  expect(await asksBeforeLeaving(page)).toBe(false);
  // It lies where "Cancel" was.
  await afterDoubleClick(page);
  await copying.getByRole('button', { name: 'Dismiss' }).click();
  await expect(copying).toHaveCount(0);
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(page.getByText('None yet.')).toBeVisible();
});

test(
  'a file that is not an image is refused with the reason and a retry button, and leaves no file',
  ONE_BROWSER,
  async ({ page, images }) => {
    await choose(page, 'Copy files in', await images.file('letter.txt', 'Dear disk,\nhow are you?\n'));
    const notice = page.getByRole('region', { name: 'Keeping letter.txt' });
    await expect(notice.getByRole('alert')).toContainText('letter.txt is not a qcow2 image: it is a text file.');
    await notice.getByRole('button', { name: 'Try again' }).click();
    await expect(notice.getByRole('alert')).toContainText('it is a text file.');
    expect(await opfsFiles(page)).toEqual([]);
  },
);

test('a file that cannot be kept by its own name is offered another one', ONE_BROWSER, async ({ page, images }) => {
  const image = await readFile(await images.plain());
  await choose(page, 'Copy files in', await images.file('a.qcow2', image));
  await expect(row(page, 'a.qcow2')).toBeVisible();
  await choose(page, 'Copy files in', await images.file('a.qcow2', image), await images.file('.b.qcow2', image));
  const taken = page.getByRole('region', { name: 'Keeping a.qcow2' });
  await expect(taken.getByRole('alert')).toContainText('There is an image of the name a.qcow2 already.');
  await taken.getByRole('button', { name: 'Keep it as a-2.qcow2' }).click();
  await expect(row(page, 'a-2.qcow2')).toBeVisible();
  await expect(taken).toHaveCount(0);
  await expect(page.getByRole('region', { name: 'Keeping a-2.qcow2' })).toContainText('is now in this browser');
  await page.getByRole('button', { name: 'Keep it as b.qcow2' }).click();
  await expect(row(page, 'b.qcow2')).toBeVisible();
  expect(await opfsFiles(page)).toEqual(['a-2.qcow2', 'a.qcow2', 'b.qcow2']);
});

test('an existing name is refused beside the field; another one is not', ONE_BROWSER, async ({ page, images }) => {
  await create(page, 'plain.qcow2', '1M');
  await drop(page, await images.plain());
  await keep(page);
  const field = page.getByLabel('Name in this browser');
  await expect(field).toHaveAccessibleDescription(/There is an image of the name plain.qcow2 already\./);
  await expect(field).toBeFocused();
  await field.fill('copy.qcow2');
  await keep(page);
  await expect(page.getByText('copy.qcow2 (').filter({ hasText: 'is now in this browser' })).toBeVisible();
  expect(await opfsFiles(page)).toEqual(['copy.qcow2', 'plain.qcow2']);
});

test('an overlay is copied with its base images, and a raw base must be provided again', async ({
  page,
  profile,
  images,
}) => {
  const { base, middle, leaf } = await images.chain();
  await drop(page, leaf, middle, base);
  await expect(page.getByText('So does a copy of middle.qcow2. Only qcow2 images are kept')).toContainText('base.raw');
  await keep(page);
  // Until both are there, what is said of them moves the button away.
  for (const name of ['middle', 'leaf']) {
    await expect(page.getByText(`${name}.qcow2 (`).filter({ hasText: 'is now in this browser' })).toBeVisible();
  }
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(row(page, 'middle.qcow2')).toContainText('Base of leaf.qcow2');
  await page.getByRole('button', { name: 'Inspect leaf.qcow2' }).click();
  await expect(page.getByText('middle.qcow2 is an overlay over base.raw.')).toBeVisible();
  await drop(page, base);
  await expect(page.getByText('is an overlay over')).toHaveCount(0);
  await withoutPicker(page);
  const file = await download(profile, page, 'leaf.raw', () =>
    page.getByRole('button', { name: 'Download as raw' }).click(),
  );
  expect(await sha256(file)).toBe(await images.rawDigest(leaf));
});

test('an overlay is stored with its own base, not with another image of that name', async ({ page, images }) => {
  const image = async (folder: string, name: string, pattern: number, ...base: string[]): Promise<string> => {
    const path = join(images.folder, folder, name);
    await mkdir(join(images.folder, folder), { recursive: true });
    await qemuImg('create', '-q', '-f', 'qcow2', ...base, path, '4M');
    await qemuIo(path, `write -q -P ${pattern} 0 64k`);
    return path;
  };
  const [own, other] = [await image('own', 'base.qcow2', 1), await image('other', 'base.qcow2', 2)];
  const overlay = await image('own', 'over.qcow2', 3, '-b', own, '-F', 'qcow2');
  const second = await image('other', 'second.qcow2', 3, '-b', other, '-F', 'qcow2');
  await choose(page, 'Copy files in', other);
  await expect(row(page, 'base.qcow2')).toBeVisible();
  await drop(page, overlay, own);
  await titled(page, 'over.qcow2');
  await expect(page.getByText('It will be based on base.qcow2, which is there already.')).toBeVisible();
  await keep(page);
  await expect(page.getByText('Another base.qcow2 is in this browser already')).toBeVisible();
  expect(await opfsFiles(page)).toEqual(['base.qcow2']);
  await drop(page, second, other);
  await titled(page, 'second.qcow2');
  await keep(page);
  await expect(page.getByText('second.qcow2 (').filter({ hasText: 'is now in this browser' })).toBeVisible();
  expect(await opfsFiles(page)).toEqual(['base.qcow2', 'second.qcow2']);
});

test('the dialog stays open while an image is deleted, whatever is pressed', async ({ page, images }) => {
  await choose(page, 'Copy files in', await images.plain());
  await expect(row(page, 'plain.qcow2')).toBeVisible();
  const letGo = await holdImage(page, 'plain.qcow2', 'shared');
  await page.getByRole('button', { name: 'Delete plain.qcow2' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Delete it' }).click();
  for (let i = 0; i < 3; i++) await page.keyboard.press('Escape');
  await expect(dialog.getByRole('button', { name: 'Deleting…' })).toBeVisible();
  await expect(dialog.getByRole('alert')).toBeVisible();
  await letGo();
  await dialog.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByText('None yet.')).toBeVisible();
});

test('an image that exceeds the quota is refused, and stored images stay', async ({ page, profile, images }) => {
  const image = await images.plain();
  await choose(page, 'Copy files in', image);
  await expect(row(page, 'plain.qcow2')).toBeVisible();
  await drop(page, await images.endless());
  await keep(page);
  const notice = page.getByRole('region', { name: 'Keeping endless.qcow2' });
  await expect(notice.getByRole('alert')).toContainText('There is not enough space.');
  await expect(notice.getByRole('button', { name: 'Try again' })).toBeVisible();
  expect(await opfsFiles(page)).toEqual(['plain.qcow2']);
  await page.getByRole('button', { name: 'Close' }).click();
  await withoutPicker(page);
  const copy = await download(profile, page, 'plain.qcow2', () =>
    page.getByRole('button', { name: 'Download as qcow2: plain.qcow2' }).click(),
  );
  expect(await sha256(copy)).toBe(await sha256(image));
});
