/**
 * A site whose data are cleared while it is open, by the header that a sign-out sends. In Chromium, closing a handle of
 * a file that was cleared never returns, and workers that start later have other locks than the page: no call may wait
 * for ever.
 */
import type { Page } from '@playwright/test';
import { expect, test } from './fixtures.js';
import { CLEARING_PATH, gotoLab, type LabServer } from './lab.js';

/** Goes to the page of the package, in a tab of its own. */
async function labPage(context: { newPage(): Promise<Page> }, lab: LabServer): Promise<Page> {
  const page = await context.newPage();
  await gotoLab(page, lab);
  return page;
}

/** What a store opened now does: makes an image, lists it, and closes. */
function useNewStore(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { lab } = window;
    const store = await lab.openStore();
    const image = await store.create('new.qcow2', { size: 2 ** 20 });
    await image.write(0, new Uint8Array(512).fill(7));
    await image.close();
    const names = (await store.list()).map(({ name }) => name);
    await store.remove('new.qcow2');
    await store.close();
    return names;
  });
}

test('every call settles when site data are cleared while an image is open, and a new store works', async ({
  profile,
  lab,
}) => {
  const page = await labPage(profile.context, lab);
  const codes = await page.evaluate(async (path) => {
    const { lab } = window;
    const store = await lab.openStore();
    const image = await store.create('open.qcow2', { size: 2 ** 20 });
    await image.write(0, new Uint8Array(512).fill(1));
    await fetch(path).then((response) => response.text());
    const started = performance.now();
    const closing = lab.codeOf(image.close());
    const calls = [closing, lab.codeOf(store.list()), lab.codeOf(store.create('next.qcow2', { size: 512 }))];
    await Promise.all(calls);
    await store.close();
    return { close: await closing, seconds: (performance.now() - started) / 1000 };
  }, CLEARING_PATH);
  // 30 s without a message from the worker, and a busy machine.
  expect(codes.seconds).toBeLessThan(60);
  if (profile.kind === 'chromium') expect(codes.close).toBe('failed');
  expect(await useNewStore(page)).toContain('new.qcow2');
  await page.close();
});

test('a store that is opened after site data were cleared works without a reload', async ({ profile, lab }) => {
  const page = await labPage(profile.context, lab);
  await page.evaluate(async (path) => {
    const store = await window.lab.openStore();
    await store.list();
    await fetch(path).then((response) => response.text());
    await store.close();
  }, CLEARING_PATH);
  for (let round = 0; round < 2; round++) expect(await useNewStore(page)).toEqual(['new.qcow2']);
  await page.close();
});
