/**
 * Presses that come too fast: a double click does a thing once, and of two presses the last one counts, not the last
 * answer.
 */
import type { Locator, Page } from '@playwright/test';
import {
  afterDoubleClick,
  create,
  download,
  drop,
  expect,
  holdImage,
  mapLoaded,
  opfsFiles,
  row,
  test,
  titled,
  withoutPicker,
} from './fixtures.js';
import { sha256 } from './images.js';

/** From now on, how many downloads the page has started. */
async function countDownloads(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const native = URL.createObjectURL;
    Object.assign(window, { downloads: 0 });
    URL.createObjectURL = (blob) => {
      (window as unknown as { downloads: number }).downloads += 1;
      return native.call(URL, blob);
    };
  });
  return () => page.evaluate(() => (window as unknown as { downloads: number }).downloads);
}

/** Presses buttons one after the other in one task, so that nothing is answered or drawn in between. */
async function pressAtOnce(...buttons: readonly Locator[]): Promise<void> {
  const handles = await Promise.all(buttons.map((button) => button.elementHandle()));
  await handles[0]!.evaluate((first, rest) => {
    for (const button of [first, ...rest]) (button as HTMLElement).click();
  }, handles.slice(1));
}

/** A double click as fast as a person's, however busy the machine: all of it is sent at once. */
async function doubleClick(page: Page, button: Locator): Promise<void> {
  await button.hover();
  const { mouse } = page;
  const once = { clickCount: 1 };
  const twice = { clickCount: 2 };
  await Promise.all([mouse.down(once), mouse.up(once), mouse.down(twice), mouse.up(twice)]);
}

/** Puts a button in front of the page that means something else after each press. */
async function withFlippingButton(page: Page): Promise<void> {
  await page.evaluate(() => {
    const button = document.createElement('button');
    button.id = 'flipping';
    button.textContent = 'Start';
    button.style.cssText = 'position: fixed; inset: 0 auto auto 0; width: 200px; height: 60px; z-index: 9';
    const times: number[] = [];
    Object.assign(window, { pressTimes: times });
    button.addEventListener('click', ({ timeStamp }) => {
      times.push(timeStamp);
      button.textContent = button.textContent === 'Start' ? 'Cancel' : 'Start';
    });
    document.body.append(button);
  });
}

/** When the presses came that reached that button. Milliseconds. */
function pressTimes(page: Page): Promise<number[]> {
  return page.evaluate(() => (window as unknown as { pressTimes: number[] }).pressTimes);
}

test('a double click starts one download, and leaves one temporary file', async ({ page, profile, images }) => {
  const image = await images.plain();
  const downloads = await countDownloads(page);
  await withoutPicker(page);
  await drop(page, image);
  await mapLoaded(page);
  const button = page.getByRole('button', { name: 'Download as raw' });
  // From the second time on there is an earlier temporary file to be deleted first.
  for (let times = 1; times <= 3; times++) {
    const file = await download(profile, page, 'plain.raw', () => doubleClick(page, button));
    expect(await sha256(file)).toBe(await images.rawDigest(image));
    await expect(button).toHaveAttribute('aria-disabled', 'false');
    expect(await downloads()).toBe(times);
    expect(await opfsFiles(page)).toHaveLength(1);
  }
  await pressAtOnce(button, button, button);
  await expect.poll(downloads).toBe(4);
  await expect(button).toHaveAttribute('aria-disabled', 'false');
  expect(await downloads()).toBe(4);
  expect(await opfsFiles(page)).toHaveLength(1);
  await doubleClick(page, page.getByRole('button', { name: 'Free the space' }));
  await expect.poll(() => opfsFiles(page)).toEqual([]);
});

test('a double click on a button that becomes "Cancel" does not cancel', async ({ page, images }) => {
  await withoutPicker(page);
  await drop(page, await images.large());
  await titled(page, 'large.qcow2');
  await doubleClick(page, page.getByRole('button', { name: 'Download as raw' }));
  const cancel = page.getByRole('button', { name: 'Cancel download' });
  const finished = page.getByText('was passed to the browser').first();
  await expect(page.getByText(/^[1-9]\d*%: /).or(finished)).toBeVisible();
  await expect(page.getByText('Nothing half-written was left.')).toHaveCount(0);
  // A single press still cancels, once the double click is over.
  await afterDoubleClick(page);
  if (await cancel.isVisible()) await cancel.click();
  await expect(page.getByText('Nothing half-written was left.').or(finished)).toBeVisible();
  // The page scrolls the next button to where the pointer is: pressed at once, it would be the second press of a double
  // click.
  await afterDoubleClick(page);
  await doubleClick(page, page.getByRole('button', { name: 'Check the image' }));
  await expect(page.getByText('No problems found.').first()).toBeVisible();
});

test('of repeated presses, only those that are not part of a double click count', async ({ page }) => {
  await withFlippingButton(page);
  const button = page.locator('#flipping');
  await button.hover();
  const { mouse } = page;
  // As the browser counts them: all are at one place.
  for (let nth = 1; nth <= 8; nth++) {
    await mouse.down({ clickCount: nth });
    await mouse.up({ clickCount: nth });
    await page.waitForTimeout(300);
  }
  // At least 500 ms lie between two that count, and never two that are stopped.
  const times = await pressTimes(page);
  expect(times.length).toBeGreaterThanOrEqual(4);
  for (const [at, time] of times.entries()) if (at > 0) expect(time - times[at - 1]!).toBeGreaterThanOrEqual(500);
});

test('key presses act on the current button, however fast they are', async ({ page }) => {
  await withFlippingButton(page);
  await page.locator('#flipping').focus();
  for (let nth = 1; nth <= 4; nth++) await page.keyboard.press('Enter');
  expect(await pressTimes(page)).toHaveLength(4);
});

test('a double click on a download of the list starts it once, and one on Cancel does not restart it', async ({
  page,
  images,
}) => {
  await withoutPicker(page);
  await drop(page, await images.plain());
  await doubleClick(page, page.getByRole('button', { name: 'Keep in this browser' }));
  await expect(page.getByText('is now in this browser. It took')).toHaveCount(1);
  await expect(page.getByRole('region', { name: 'Keeping plain.qcow2' })).toHaveCount(1);
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByRole('button', { name: 'Close' }).click();
  const start = page.getByRole('button', { name: 'Download as raw: plain.qcow2' });
  await doubleClick(page, start);
  const cancel = page.getByRole('button', { name: 'Cancel raw: plain.qcow2' });
  await expect(cancel.or(page.getByText('was passed to the browser').first())).toBeVisible();
  await afterDoubleClick(page);
  if (await cancel.isVisible()) await doubleClick(page, cancel);
  await expect(page.getByText(/Cancelled\. Nothing half-written|was passed to the browser/).first()).toBeVisible();
  await expect(start).toBeVisible();
});

test('a double click on a retry copies once', async ({ page, images }) => {
  await create(page, 'plain.qcow2', '1M');
  await drop(page, await images.plain());
  await titled(page, 'plain.qcow2');
  const keeping = page.getByRole('region', { name: 'Keeping other.qcow2' });
  await page.getByLabel('Name in this browser').fill('other.qcow2');
  const letGo = await holdImage(page, 'other.qcow2', 'exclusive');
  await page.getByRole('button', { name: 'Keep in this browser' }).click();
  const again = keeping.getByRole('button', { name: 'Try again' });
  await expect(again).toBeVisible();
  await letGo();
  await pressAtOnce(again, again);
  await expect(keeping).toContainText('is now in this browser. It took');
  await expect(keeping.getByRole('button', { name: 'Try again' })).toHaveCount(0);
  expect(await opfsFiles(page)).toEqual(['other.qcow2', 'plain.qcow2']);
});

test('a double click creates and deletes one image', async ({ page }) => {
  await doubleClick(page, page.getByRole('button', { name: 'Create an image' }));
  const dialog = page.getByRole('dialog', { name: 'Create an image' });
  await expect(dialog).toBeVisible();
  await dialog.getByLabel('Size of the disk').fill('1M');
  await doubleClick(page, dialog.getByRole('button', { name: 'Create', exact: true }));
  await expect(row(page, 'disk.qcow2')).toBeVisible();
  await expect(dialog).toHaveCount(0);
  await create(page, 'other.qcow2', '1M');
  await doubleClick(page, page.getByRole('button', { name: 'Delete disk.qcow2' }));
  const question = page.getByRole('dialog', { name: 'Delete disk.qcow2?' });
  await expect(question).toBeVisible();
  await doubleClick(page, question.getByRole('button', { name: 'Delete it' }));
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(row(page, 'disk.qcow2')).toHaveCount(0);
  expect(await opfsFiles(page)).toEqual(['other.qcow2']);
  await expect(page.getByRole('alert').filter({ hasText: /./ })).toHaveCount(0);
});

test('a double click on "Rename" leaves its form open, and one on "Save" renames once', async ({ page }) => {
  await create(page, 'disk.qcow2', '1M');
  await doubleClick(page, page.getByRole('button', { name: 'Rename disk.qcow2' }));
  const field = page.getByLabel('New name for disk.qcow2');
  await expect(field).toBeVisible();
  await field.fill('other.qcow2');
  await doubleClick(page, page.getByRole('button', { name: 'Save' }));
  await expect(page.getByRole('button', { name: 'Rename other.qcow2' })).toBeFocused();
  expect(await opfsFiles(page)).toEqual(['other.qcow2']);
});

test('the form of a running rename stays until that has ended', async ({ page }) => {
  await create(page, 'disk.qcow2', '1M');
  const letGo = await holdImage(page, 'disk.qcow2', 'shared');
  await page.getByRole('button', { name: 'Rename disk.qcow2' }).click();
  const field = page.getByLabel('New name for disk.qcow2');
  await field.fill('other.qcow2');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'Renaming…' })).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Cancel' }).click({ force: true });
  await expect(field).toHaveAccessibleDescription(/disk\.qcow2 is in use here/);
  await letGo();
  await page.keyboard.press('Escape');
  await expect(field).toHaveCount(0);
  expect(await opfsFiles(page)).toEqual(['disk.qcow2']);
});

test('of two snapshots opened one after the other, the last one is shown', async ({ page, images }) => {
  await drop(page, await images.history());
  const card = page.getByRole('region', { name: 'Snapshots', exact: true });
  const first = card.getByRole('button', { name: 'Open first' });
  const second = card.getByRole('button', { name: 'Open before the upgrade' });
  // Its disk is open from now on, so that it is shown at once.
  await second.click();
  await titled(page, 'before the upgrade');
  await page.getByRole('button', { name: 'Back to history.qcow2' }).click();
  await pressAtOnce(first, second);
  await titled(page, 'before the upgrade');
  await mapLoaded(page);
  await titled(page, 'before the upgrade');
});

test('a snapshot that is being opened is not shown once its image was closed', async ({ page, images }) => {
  await drop(page, await images.history());
  const open = page.getByRole('button', { name: 'Open first' });
  await expect(open).toBeVisible();
  await pressAtOnce(open, page.getByRole('button', { name: 'Close' }));
  await expect(page.getByRole('heading', { name: 'See inside a virtual disk' })).toBeVisible();
  await drop(page, await images.plain());
  await titled(page, 'plain.qcow2');
});

test('a file that is opened after the sample image was requested stays open', async ({ page, images }) => {
  const image = await images.plain();
  const sample = page.getByRole('button', { name: 'Try a sample image' });
  await sample.evaluate((button) => {
    // Making it takes a while: longer than opening another image.
    const native = CompressionStream;
    window.CompressionStream = class extends native {
      constructor(format: CompressionFormat) {
        super(format);
        Object.defineProperty(this, 'readable', {
          value: this.readable.pipeThrough(
            new TransformStream({ flush: () => new Promise((resolve) => setTimeout(resolve, 30)) }),
          ),
        });
      }
    };
    (button as HTMLElement).click();
  });
  await drop(page, image);
  await titled(page, 'plain.qcow2');
  await page.waitForTimeout(2500);
  await titled(page, 'plain.qcow2');
  await page.getByRole('button', { name: 'Close' }).click();
  await pressAtOnce(sample, sample);
  await titled(page, 'sample.qcow2');
  await mapLoaded(page);
});

test('a double click requests persistence once', async ({ page }) => {
  await page.evaluate(() => {
    Object.assign(window, { asked: 0 });
    navigator.storage.persist = async () => {
      (window as unknown as { asked: number }).asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return false;
    };
  });
  const ask = page.getByRole('button', { name: 'Ask it to keep them' });
  await doubleClick(page, ask);
  await expect(page.getByText('It declined: it decides by')).toBeVisible();
  expect(await page.evaluate(() => (window as unknown as { asked: number }).asked)).toBe(1);
});
