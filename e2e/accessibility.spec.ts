/** What everybody must be able to do: axe in both themes, narrow windows, the keyboard alone. */
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { choose, create, drop, expect, mapLoaded, ONE_BROWSER, row, test, titled, withoutPicker } from './fixtures.js';
import type { Images } from './images.js';

// In one worker, so that one browser in the dark theme is enough.
test.describe.configure({ mode: 'default' });

async function violations(page: Page): Promise<string[]> {
  // Axe is half a megabyte, which a page that has it need not be given twice.
  const isThere = await page.evaluate(() => 'axe' in window);
  const axe = new AxeBuilder({ page, ...(isThere && { axeSource: 'void 0' }) });
  // All rules run, but of those that are kept the page need not describe each element: that takes longer than the
  // rules.
  axe.options({ resultTypes: ['violations'] });
  // Without frames there is nothing to gather from others, for which axe would open another page.
  const { violations: found } = await axe.setLegacyMode().analyze();
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
}

async function inspectImages(page: Page, images: Images): Promise<void> {
  expect(await violations(page)).toEqual([]);
  const { leaf } = await images.chain();
  await drop(page, leaf);
  await mapLoaded(page);
  expect(await violations(page)).toEqual([]);
  await drop(page, await images.history());
  await titled(page, 'history.qcow2');
  await page.getByRole('button', { name: 'Check the image' }).click();
  await expect(page.getByText('No problems found.').first()).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.getByRole('button', { name: 'Open first' }).click();
  await titled(page, 'first');
  await mapLoaded(page);
  expect(await violations(page)).toEqual([]);
  await drop(page, await images.file('letter.txt', 'Dear disk,\nhow are you?\n'));
  await page.getByRole('alert').getByText('Details').click();
  expect(await violations(page)).toEqual([]);
}

/** The colour of the page's ground. */
function groundOf(page: Page): Promise<string> {
  return page.evaluate(() => getComputedStyle(document.body).backgroundColor);
}

test(
  'axe finds nothing on the empty page, in an image, in a snapshot and at an error, light',
  ONE_BROWSER,
  async ({ page, images }) => {
    await inspectImages(page, images);
    expect(await groundOf(page)).toBe('rgb(246, 247, 249)');
  },
);

test(
  'axe finds nothing on the empty page, in an image, in a snapshot and at an error, dark',
  ONE_BROWSER,
  async ({ darkPage, images }) => {
    await inspectImages(darkPage, images);
    expect(await groundOf(darkPage)).toBe('rgb(15, 19, 25)');
  },
);

test('nothing scrolls sideways at 360 pixels', ONE_BROWSER, async ({ page, images }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  const excess = (): Promise<number> =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(await excess()).toBe(0);
  const { leaf } = await images.chain();
  await drop(page, leaf);
  await mapLoaded(page);
  expect(await excess()).toBe(0);
  await drop(page, await images.history());
  await titled(page, 'history.qcow2');
  await page.getByRole('button', { name: 'Check the image' }).click();
  await expect(page.getByText('No problems found.').first()).toBeVisible();
  expect(await excess()).toBe(0);
  await page.getByRole('button', { name: 'Open first' }).click();
  await titled(page, 'first');
  expect(await excess()).toBe(0);
  await drop(page, await images.file(`${'a-very-long-name-'.repeat(8)}.txt`, 'text'));
  await expect(page.getByRole('alert')).toBeVisible();
  expect(await excess()).toBe(0);
});

/** A list with one of everything: a base and its overlay, a download that has ended, a copy that was refused. */
async function fillStore(page: Page, letter: string): Promise<void> {
  await withoutPicker(page);
  await create(page, 'base.qcow2', '5G');
  await create(page, `${'a-very-long-name-'.repeat(8)}.qcow2`, '1G', async () => {
    await page.getByText('Advanced').click();
    await page.getByLabel('Backing file').selectOption('base.qcow2');
  });
  await page.getByRole('button', { name: 'Download as qcow2: base.qcow2' }).click();
  await expect(page.getByRole('button', { name: 'Free the space' })).toBeVisible();
  await choose(page, 'Copy files in', letter);
  await expect(page.getByRole('region', { name: 'Keeping letter.txt' }).getByRole('alert')).toBeVisible();
}

async function inspectStore(page: Page, images: Images): Promise<void> {
  await fillStore(page, await images.file('letter.txt', 'Dear disk,\nhow are you?\n'));
  expect(await violations(page)).toEqual([]);
  await page.getByRole('button', { name: 'Rename base.qcow2' }).click();
  await page.getByLabel('New name for base.qcow2').fill('');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Give the image a name.')).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Delete base.qcow2' }).click();
  await page.getByRole('button', { name: 'Delete it' }).click();
  await expect(page.getByRole('dialog').getByRole('alert')).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.getByRole('button', { name: 'Do not delete' }).click();
  await page.getByRole('button', { name: 'Create an image' }).click();
  await page.getByText('Advanced').click();
  await page.getByLabel('Size of the disk').fill('10GB');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  expect(await violations(page)).toEqual([]);
}

test(
  'axe finds nothing on the list of images, in its forms and in its dialogs, light',
  ONE_BROWSER,
  ({ page, images }) => inspectStore(page, images),
);

test(
  'axe finds nothing on the list of images, in its forms and in its dialogs, dark',
  ONE_BROWSER,
  ({ darkPage, images }) => inspectStore(darkPage, images),
);

test('the list of images and its dialogs do not scroll sideways at 360 pixels', async ({ page, images }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  const excess = (selector: string): Promise<number> =>
    page.locator(selector).evaluate((element) => element.scrollWidth - element.clientWidth);
  await fillStore(page, await images.file('letter.txt', 'Dear disk,\nhow are you?\n'));
  expect(await excess('html')).toBe(0);
  const long = row(page, `${'a-very-long-name-'.repeat(8)}.qcow2`);
  await long.getByRole('button', { name: 'Rename' }).click();
  expect(await excess('html')).toBe(0);
  await page.keyboard.press('Escape');
  await long.getByRole('button', { name: 'Delete' }).click();
  expect(await excess('dialog')).toBe(0);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Create an image' }).click();
  await page.getByText('Advanced').click();
  expect(await excess('dialog')).toBe(0);
  expect(await excess('html')).toBe(0);
});

test('everything is reached with the Tab key, in the order in which it is read', async ({ page }) => {
  await page.getByRole('heading', { level: 1 }).click();
  const focused = (): Promise<string> =>
    page.evaluate(() => {
      const element = document.activeElement;
      return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
    });
  await page.keyboard.press('Tab');
  expect(await focused()).toBe('Choose files');
  await page.keyboard.press('Tab');
  expect(await focused()).toBe('Try a sample image');
  await page.keyboard.press('Enter');
  await mapLoaded(page);
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
  const stops: string[] = [];
  for (let step = 0; step < 6; step++) {
    await page.keyboard.press('Tab');
    stops.push(await focused());
  }
  // A field has no text of its own.
  expect(stops).toEqual(['Open another', 'Close', 'Download as raw', '', 'Keep in this browser', 'Place on the disk']);
});

test('headings go down one level at a time', ONE_BROWSER, async ({ page }) => {
  const check = async (): Promise<void> => {
    const levels = await page.getByRole('heading').evaluateAll((all) => all.map(({ tagName }) => Number(tagName[1])));
    expect(levels[0]).toBe(1);
    levels.forEach((level, index) => {
      expect(level - (levels[index - 1] ?? 0)).toBeLessThanOrEqual(1);
    });
  };
  await create(page, 'headed.qcow2', '1M');
  await check();
  await page.getByRole('button', { name: 'Try a sample image' }).click();
  await mapLoaded(page);
  await check();
});
