/** Kills a tab, as the system does when memory is short. */
import { expect, type Page, test } from '@playwright/test';
import { launchProfile, type Profile } from './fixtures.js';
import { processesOf } from './processes.js';

/**
 * Kills the tab of a profile in `folder`; returns the browser to continue with. Under Playwright, Firefox exits with
 * its first dead tab, and is started again.
 */
export async function killTab(profile: Profile, page: Page, folder: string): Promise<Profile> {
  const { kind, context } = profile;
  if (kind === 'chromium') {
    const session = await context.newCDPSession(page);
    const crashed = page.waitForEvent('crash');
    // The crashed tab sends no response.
    session.send('Page.crash').catch(() => {});
    await crashed;
    return profile;
  }
  const closed = context.waitForEvent('close');
  const tabs = await contentProcesses(folder);
  expect(tabs).not.toEqual([]);
  for (const pid of tabs) process.kill(pid, 'SIGKILL');
  await closed;
  return launchProfile(test.info(), folder);
}

/** The content processes of the Firefox whose profile is in `folder`. */
async function contentProcesses(folder: string): Promise<number[]> {
  const processes = await processesOf(folder);
  return processes.filter(({ command }) => / tab$/.test(command)).map(({ pid }) => pid);
}
