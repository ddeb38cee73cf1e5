/** Downloads a stored image's file unchanged, for qemu-img to check. */
import { expect, type Page } from '@playwright/test';
import { download, type Profile, withoutPicker } from './fixtures.js';
import { qemuImg } from './images.js';

/** Downloads a stored image's file unchanged and checks it with qemu-img; returns the output of `qemu-img info`. */
export async function takeAway(profile: Profile, page: Page, name: string): Promise<Record<string, unknown>> {
  await withoutPicker(page);
  const button = page.getByRole('button', { name: `Download as qcow2: ${name}`, exact: true });
  const file = await download(profile, page, name, () => button.click());
  const check = JSON.parse(await qemuImg('check', '-f', 'qcow2', '--output=json', file));
  expect(check['check-errors']).toBe(0);
  expect([check.corruptions ?? 0, check.leaks ?? 0]).toEqual([0, 0]);
  return JSON.parse(await qemuImg('info', '-f', 'qcow2', '--output=json', file));
}
