/** What everybody must be able to do: axe in both themes, narrow windows, the keyboard alone. */
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { drop, expect, launchProfile, mapLoaded, test } from './fixtures.js';

async function violations(page: Page): Promise<string[]> {
  // Without frames there is nothing to gather from others, for which axe would open another page.
  const { violations: found } = await new AxeBuilder({ page }).setLegacyMode().analyze();
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing on the empty page, in an image and at an error, ${colorScheme}`, async ({
    images,
    folder,
  }) => {
    const profile = await launchProfile(test.info(), join(folder, colorScheme), { dark: colorScheme === 'dark' });
    const page = await profile.context.newPage();
    await page.goto('/');
    expect(await violations(page)).toEqual([]);
    const { leaf } = await images.chain();
    await drop(page, leaf);
    await mapLoaded(page);
    expect(await violations(page)).toEqual([]);
    await drop(page, await images.file('letter.txt', 'Dear disk,\nhow are you?\n'));
    await page.getByRole('alert').getByText('Details').click();
    expect(await violations(page)).toEqual([]);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(ground).toBe(colorScheme === 'light' ? 'rgb(246, 247, 249)' : 'rgb(15, 19, 25)');
    await profile.context.close();
  });
}

test('nothing scrolls sideways at 360 pixels', async ({ page, images }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  const excess = (): Promise<number> =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(await excess()).toBe(0);
  const { leaf } = await images.chain();
  await drop(page, leaf);
  await mapLoaded(page);
  expect(await excess()).toBe(0);
  await drop(page, await images.file(`${'a-very-long-name-'.repeat(8)}.txt`, 'text'));
  await expect(page.getByRole('alert')).toBeVisible();
  expect(await excess()).toBe(0);
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

test('headings go down one level at a time', async ({ page }) => {
  await page.getByRole('button', { name: 'Try a sample image' }).click();
  await mapLoaded(page);
  const levels = await page.getByRole('heading').evaluateAll((all) => all.map(({ tagName }) => Number(tagName[1])));
  expect(levels[0]).toBe(1);
  levels.forEach((level, index) => {
    expect(level - (levels[index - 1] ?? 0)).toBeLessThanOrEqual(1);
  });
});
