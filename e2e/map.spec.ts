/** The allocation map: by keyboard, by pointer, in words, page by page, and of a disk of 100 GiB. */
import type { Page } from '@playwright/test';
import { drop, expect, mapLoaded, ONE_BROWSER, test } from './fixtures.js';

const readout = (page: Page) => page.locator('.readout output');

async function openSample(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Try a sample image' }).click();
  await mapLoaded(page);
}

test('arrow keys select cells, and describe them', async ({ page }) => {
  await openSample(page);
  const map = page.getByRole('slider', { name: 'Place on the disk' });
  await map.focus();
  await expect(readout(page)).toHaveText('0 bytes to 64 KiB Data: stored in this image as it is');
  await page.keyboard.press('ArrowRight');
  await expect(map).toHaveAttribute('aria-valuenow', '2');
  await expect(map).toHaveAttribute('aria-valuetext', '64 KiB to 128 KiB');
  await page.keyboard.press('End');
  await expect(map).toHaveAttribute('aria-valuenow', '1024');
  await expect(readout(page)).toContainText('Unallocated: stored nowhere, reads as zeros');
  await page.keyboard.press('Home');
  await expect(map).toHaveAttribute('aria-valuenow', '1');
  await page.keyboard.press('ArrowDown');
  await expect(map).toHaveAttribute('aria-valuenow', '65');
  await expect(readout(page)).toContainText('Zeros: marked in this image to read as zeros');
  await page.keyboard.press('PageDown');
  await expect(map).toHaveAttribute('aria-valuenow', '321');
  await page.keyboard.press('PageUp');
  await page.keyboard.press('ArrowUp');
  await expect(map).toHaveAttribute('aria-valuenow', '1');
});

test('Enter lists the extents of a cell, in pages', ONE_BROWSER, async ({ page }) => {
  await openSample(page);
  await page.getByRole('slider').focus();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  const extents = page.getByRole('region', { name: 'Extents' });
  await expect(page.getByText('Page 3 of 3, 24 extents')).toBeVisible();
  await expect(extents.getByRole('row').last()).toContainText('Unallocated');
  await page.getByRole('button', { name: 'First' }).click();
  await expect(page.getByText('Page 1 of 3')).toBeVisible();
  await expect(extents.getByRole('row')).toHaveCount(11);
  await expect(extents.getByRole('row').nth(1)).toContainText('0x0');
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByText('Page 2 of 3')).toBeVisible();
});

test('the pointer chooses the cell under it', ONE_BROWSER, async ({ page }) => {
  await openSample(page);
  const map = page.getByRole('slider');
  await map.scrollIntoViewIfNeeded();
  const box = (await map.boundingBox())!;
  await page.mouse.move(box.x + box.width - 4, box.y + 4);
  await expect(map).toHaveAttribute('aria-valuenow', '64');
  await expect(readout(page)).toContainText('Zeros');
});

test('the canvas paints each kind in its own colours', ONE_BROWSER, async ({ page }) => {
  await openSample(page);
  const colours = await page.locator('.map canvas').evaluate(async (canvas: HTMLCanvasElement) => {
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const context = canvas.getContext('2d')!;
    const grid = canvas.width;
    const pitch = Math.round((canvas.height + 0) / 16);
    const left = grid - 64 * pitch;
    const at = (cell: number): string => {
      const x = left + (cell % 64) * pitch + Math.round(pitch / 2);
      const y = Math.floor(cell / 64) * pitch + Math.round(pitch / 2);
      const { data } = context.getImageData(x - 3, y - 3, 6, 6);
      const seen = new Set<string>();
      for (let index = 0; index < data.length; index += 4) seen.add(data.slice(index, index + 3).join());
      return [...seen].sort().join(' ');
    };
    return { data: at(41), compressed: at(530), zero: at(61), unallocated: at(200) };
  });
  expect(new Set(Object.values(colours)).size).toBe(4);
  expect(colours.data.split(' ')).toHaveLength(1);
  // A pattern has at least two colours.
  expect(colours.compressed.split(' ').length).toBeGreaterThan(1);
  expect(colours.zero.split(' ').length).toBeGreaterThan(1);
});

for (const name of ['huge', 'scattered'] as const) {
  test(`100 GiB, ${name}: the header appears immediately, the map in about a second`, async ({ page, images }) => {
    const path = await images[name]();
    await page.evaluate(() => {
      const seen: Record<string, number> = {};
      const look = (): void => {
        const text = document.body.textContent ?? '';
        if (text.includes('100 GiB (107,374,182,400 bytes)')) seen.header ??= performance.now();
        if (text.includes('of the disk.')) seen.map ??= performance.now();
      };
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
      window.addEventListener('drop', () => Object.assign(seen, { dropped: performance.now() }), { capture: true });
      Object.assign(window, { seen });
    });
    await drop(page, path);
    await mapLoaded(page);
    const seen = await page.evaluate(() => (window as unknown as { seen: Record<string, number> }).seen);
    const header = Math.round(seen.header! - seen.dropped!);
    const map = Math.round(seen.map! - seen.dropped!);
    console.log(`100 GiB ${name}, ${test.info().project.name}: header after ${header} ms, map after ${map} ms`);
    expect(header).toBeLessThan(1500);
    expect(map).toBeLessThan(5000);
    await expect(page.getByRole('slider')).toHaveAttribute('aria-valuemax', '1024');
  });
}
