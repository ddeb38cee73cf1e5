/** Files that are no qcow2 images, or broken ones: a sentence that a person understands, and a page that goes on. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { drag, drop, expect, mapLoaded, ONE_BROWSER, test } from './fixtures.js';

const CASES: readonly { name: string; bytes: () => Uint8Array | string; says: string; code: string }[] = [
  {
    name: 'old.qcow',
    bytes: () => Buffer.concat([Buffer.from('514649fb00000001', 'hex'), Buffer.alloc(1016)]),
    says: 'a qcow image of version 1, an older format',
    code: 'not-qcow2',
  },
  {
    name: 'machine.vmdk',
    bytes: () => Buffer.concat([Buffer.from('KDMV'), Buffer.alloc(2044)]),
    says: 'a VMware disk (VMDK)',
    code: 'not-qcow2',
  },
  { name: 'letter.txt', bytes: () => 'Dear disk,\nhow are you?\n', says: 'a text file', code: 'not-qcow2' },
  { name: 'nothing.qcow2', bytes: () => '', says: 'an empty file', code: 'not-qcow2' },
];

for (const { name, bytes, says, code } of CASES) {
  test(`${name} is refused with its kind`, ONE_BROWSER, async ({ page, images }) => {
    await drop(page, await images.file(name, bytes()));
    const notice = page.getByRole('alert');
    await expect(notice.getByText(`${name} is not a qcow2 image: it is ${says}.`)).toBeVisible();
    await notice.getByText('Details').click();
    await expect(notice.getByText(code, { exact: true })).toBeVisible();
  });
}

test('among several files, the damaged one is named', ONE_BROWSER, async ({ page, images }) => {
  const { base, middle, leaf } = await images.chain();
  const broken = await readFile(middle);
  broken.writeUInt32BE(1, 36); // an L1 table that ends before the disk does
  broken.writeBigUInt64BE(2n ** 40n, 24);
  await mkdir(join(images.folder, 'lost'), { recursive: true });
  await drop(page, base, await images.file('lost/middle.qcow2', broken), leaf);
  await expect(page.getByRole('alert').getByText('A file that leaf.qcow2 is based on cannot be used.')).toBeVisible();
});

test('a dropped folder is refused as a folder', async ({ page, profile, images }) => {
  if (profile.kind === 'chromium') {
    const session = await profile.context.newCDPSession(page);
    const data = { items: [], files: [images.folder], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
      await session.send('Input.dispatchDragEvent', { type, x: 100, y: 300, data });
    }
  } else {
    // Nothing but a person drags folders into Firefox: so what it says of one is put in its mouth.
    await page.evaluate(() => {
      DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: true }) as FileSystemEntry;
    });
    await drop(page, await images.file('images', ''));
  }
  await expect(page.getByRole('alert').getByText('images is a folder.')).toBeVisible();
});

test('a file that was deleted since it was chosen is not called empty', async ({ page, images }) => {
  const path = await images.file('gone.qcow2', await readFile(await images.plain()));
  const letGo = await drag(page, path);
  await rm(path);
  await letGo();
  await expect(page.getByRole('alert')).toContainText('The file was changed, moved or deleted since it was chosen.');
});

test('an image that is cut off within its header is refused', ONE_BROWSER, async ({ page, images }) => {
  await drop(page, await images.truncated(60));
  await expect(page.getByRole('alert').getByText('cut-at-60.qcow2 is damaged.')).toBeVisible();
});

test('an image with truncated data opens, and its download reports what is missing', async ({ page, images }) => {
  await page.evaluate(() => {
    Object.assign(window, { showSaveFilePicker: undefined });
  });
  await drop(page, await images.truncated(6 * 2 ** 20));
  await mapLoaded(page);
  await page.getByRole('button', { name: 'Download as raw' }).click();
  await expect(page.getByRole('alert').getByText(`cut-at-${6 * 2 ** 20}.qcow2 is damaged.`)).toBeVisible();
  await expect(page.getByRole('alert')).toContainText('the file ends at 0x600000');
});

test(
  'the page stays usable: the open image stays, and a valid one opens after an invalid one',
  ONE_BROWSER,
  async ({ page, images }) => {
    await drop(page, await images.plain());
    await mapLoaded(page);
    await drop(page, await images.file('letter.txt', 'Dear disk,\nhow are you?\n'));
    await expect(page.getByRole('alert')).toContainText('letter.txt is not a qcow2 image');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('plain.qcow2');
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await expect(page.getByRole('main')).toBeFocused();
    await expect(page.getByRole('alert')).toHaveCount(0);
    await drop(page, await images.file('letter.txt', ''));
    await expect(page.getByRole('alert')).toBeVisible();
    await drop(page, await images.compressed());
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('compressed.qcow2');
    await expect(page.getByRole('alert')).toHaveCount(0);
  },
);
