/** The check on the page, with qemu-img's figures. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drop, expect, mapLoaded, ONE_BROWSER, test } from './fixtures.js';
import { type Images, qemuImg } from './images.js';

test(
  'an intact image has no problems, and the findings of a damaged one are listed with their offsets',
  ONE_BROWSER,
  async ({ page, images }) => {
    await drop(page, await images.plain());
    await mapLoaded(page);
    const card = page.getByRole('region', { name: 'Check', exact: true });
    await card.getByRole('button', { name: 'Check the image' }).click();
    await expect(card.locator('strong')).toHaveText('No problems found.');

    const damaged = await damagedImage(images);
    const report = await qemuImg('check', '--output=json', damaged).catch(({ stdout }: { stdout: string }) => stdout);
    expect(JSON.parse(report)).toMatchObject({ corruptions: 1, leaks: 1 });
    await drop(page, damaged);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('damaged.qcow2');
    await card.getByRole('button', { name: 'Check the image' }).click();
    // The two guest clusters are neighbours, or not: one area or two.
    await expect(card.locator('strong').nth(0)).toHaveText(/^(1 area|2 areas) of the disk may hold wrong data\./);
    await expect(card.locator('strong').nth(1)).toHaveText('64 KiB are wasted. Harmless.');
    await expect(card.getByText('As qemu-img check counts: 1 corruption, 1 leak, 0 errors.')).toBeVisible();
    const doubtful = card.getByRole('row').filter({ hasText: 'Data doubtful' });
    await expect(doubtful).toContainText(/Used by L2 table 0, entry \d+ \(0x[0-9a-f]+\), L2 table 0, entry \d+ \(/);
    await expect(card.getByRole('row').filter({ hasText: 'Wasted space' })).toContainText(/0x[0-9a-f]+0000/);
  },
);

test(
  'in a narrow window the findings are below each other, and none is cut off',
  ONE_BROWSER,
  async ({ page, images }) => {
    await page.setViewportSize({ width: 390, height: 740 });
    await drop(page, await damagedImage(images));
    await mapLoaded(page);
    const card = page.getByRole('region', { name: 'Check', exact: true });
    await card.getByRole('button', { name: 'Check the image' }).click();
    const findings = card.getByRole('region', { name: 'Findings' });
    await expect(findings).toContainText('First places in the file');
    await expect(findings.getByRole('row').filter({ hasText: 'Data doubtful' })).toContainText(/0x[0-9a-f]+/);
    expect(await findings.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    for (const cell of await findings.getByRole('cell').all()) {
      const { x, width } = (await cell.boundingBox())!;
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(390);
    }
  },
);

test('a check can be cancelled', async ({ page, images }) => {
  await drop(page, await images.huge());
  await mapLoaded(page);
  const card = page.getByRole('region', { name: 'Check', exact: true });
  // In the page, since a check may have ended before a test finds the button again.
  await card.getByRole('button').evaluate(async (button: HTMLButtonElement) => {
    button.focus();
    button.click();
    while (button.textContent !== 'Cancel the check') await new Promise(requestAnimationFrame);
    button.click();
  });
  await expect(card.getByText('Cancelled. The rest was not checked.')).toBeVisible();
  await expect(card.getByRole('button', { name: 'Check the image' })).toBeFocused();
});

/** An image with two faults: a guest cluster that is used twice, and one that is leaked. */
async function damagedImage(images: Images): Promise<string> {
  const path = join(images.folder, 'sound.qcow2');
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', await images.disk(), path);
  const bytes = await readFile(path);
  const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0xff_ffff_ffff_fe00n);
  // The second guest cluster that is stored takes the place of the first.
  const stored = Array.from({ length: 8192 }, (_, index) => l2 + index * 8).filter(
    (at) => bytes.readBigUInt64BE(at) > 1n,
  );
  bytes.writeBigUInt64BE(bytes.readBigUInt64BE(stored[1]!), stored[0]!);
  return images.file('damaged.qcow2', bytes);
}
