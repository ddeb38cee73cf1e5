/** What the application that keeps images shows in a browser. */
import { expect, type Page } from '@playwright/test';
import { sharedApp } from './shared-app.js';

/** Loads the page, and reads what it shows once it is done. */
export async function outcomeOf(page: Page, address: string): Promise<unknown> {
  await page.goto(address);
  const shown = page.locator('#outcome');
  await expect(shown).not.toBeEmpty();
  return JSON.parse((await shown.textContent()) ?? '');
}

/** What it shows when everything worked. */
export function keptImage(): unknown {
  return { names: ['disk'], same: true, fetched: sharedApp().sha256 };
}
