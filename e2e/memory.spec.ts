/**
 * The memory that a large image takes on its way in and out: a 4 GiB disk passes through in pieces. Chromium alone:
 * its pages have processes of their own, whose memory can be told from that of the rest.
 */
import { join } from 'node:path';
import { choose, drop, expect, launchProfile, mapLoaded, row, test } from './fixtures.js';
import { processesOf } from './processes.js';

const MIB = 1024 * 1024;
/** What an import or an export may take above the idle page: not what the disk has, and not what it seems to have. */
const MAX_MEMORY = 64 * MIB;

/** What the processes of pages have together, bytes. */
async function pageMemory(folder: string): Promise<number> {
  const processes = await processesOf(folder);
  const pages = processes.filter(({ command }) => command.includes('--type=renderer'));
  expect(pages).not.toEqual([]);
  return pages.reduce((sum, { memory }) => sum + memory, 0);
}

/** The most that the pages have while something is done. */
async function peakDuring(folder: string, work: Promise<unknown>): Promise<number> {
  let peak = 0;
  let busy = true;
  const done = work.finally(() => {
    busy = false;
  });
  while (busy) peak = Math.max(peak, await pageMemory(folder));
  await done;
  return peak;
}

test('a sparse disk of 4 GiB is copied in and out in less memory than its data', async ({ images, folder }) => {
  const image = await images.sparse();
  const home = join(folder, 'memory');
  const { context } = await launchProfile(test.info(), home);
  try {
    const page = await context.newPage();
    await page.goto('/');
    await expect(page.getByText('None yet.')).toBeVisible();
    await page.evaluate(() => {
      const showSaveFilePicker = async ({ suggestedName }: { suggestedName: string }) =>
        (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
      Object.assign(window, { showSaveFilePicker });
    });
    // What starting took is given back after a while, and would count as room otherwise.
    await page.waitForTimeout(2000);
    let idle = await pageMemory(home);
    const above = async (what: string, work: Promise<unknown>): Promise<void> => {
      const peak = (await peakDuring(home, work)) - idle;
      console.log(`${what} of a sparse 4 GiB disk: ${(peak / MIB).toFixed(0)} MiB above the idle page`);
      expect(peak, what).toBeLessThan(MAX_MEMORY);
    };
    const copied = choose(page, 'Copy files in', image).then(() => expect(row(page, 'sparse.qcow2')).toBeVisible());
    await above('import', copied);
    for (const [format, name] of [
      ['raw', 'sparse.raw'],
      ['qcow2', 'sparse.qcow2'],
    ]) {
      const saved = page
        .getByRole('button', { name: `Download as ${format}: sparse.qcow2`, exact: true })
        .click()
        .then(() => expect(page.getByText(new RegExp(`${name}.* is saved`)).first()).toBeVisible({ timeout: 60_000 }));
      await above(`export as ${format}`, saved);
    }
    // A file of the person's is read otherwise than one of the store's.
    await drop(page, image);
    await mapLoaded(page);
    await page.waitForTimeout(2000);
    // What it takes to show the image is not the copy's.
    idle = await pageMemory(home);
    const taken = page
      .getByRole('button', { name: 'Download as raw', exact: true })
      .click()
      .then(() => expect(page.getByText('is saved. It took')).toBeVisible({ timeout: 60_000 }));
    await above('export of a dropped file', taken);
  } finally {
    await context.close();
  }
});
