/**
 * Playwright fixtures for the tests of the page: a browser with a profile on disk, a page, and images to drop on it.
 */
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BrowserContext,
  type BrowserType,
  test as base,
  chromium,
  expect,
  firefox,
  type Locator,
  type Page,
  type WorkerInfo,
} from '@playwright/test';
import { launchOptions } from '../scripts/find-browsers.js';
import { Images } from './images.js';
import { type LabServer, startLab } from './lab.js';

/**
 * Marks tests that run in Chromium only: those of the page's own words, markup and layout, which are the same in
 * Firefox. Tests that depend on the browser run in both: storage, files, downloads, tabs, locks, the network, workers,
 * the keyboard and the pointer.
 */
export const ONE_BROWSER = { tag: '@one-browser' } as const;

/** A browser whose storage is on disk: that of Playwright's ordinary contexts is in memory, and small. */
export interface Profile {
  readonly kind: 'chromium' | 'firefox';
  readonly context: BrowserContext;
  /** A tab of the page's site without the page. It clears the site's storage and opens the tabs of tests. */
  home(): Promise<Page>;
  /** Where Firefox puts downloads, which it does not report. */
  readonly downloads: string;
}

/** Starts a browser with its own profile in `folder`. `storage` is the quota of a page in Firefox, bytes. */
export async function launchProfile(
  info: WorkerInfo,
  folder: string,
  wanted: { dark?: boolean; private?: boolean; persist?: boolean; storage?: number } = {},
): Promise<Profile> {
  const kind = info.project.name === 'firefox' ? 'firefox' : 'chromium';
  const type: BrowserType = { chromium, firefox }[kind];
  const downloads = join(folder, 'downloads');
  await mkdir(downloads, { recursive: true });
  const context = await type.launchPersistentContext(join(folder, 'profile'), {
    ...launchOptions(kind),
    baseURL: info.project.use.baseURL!,
    colorScheme: wanted.dark ? 'dark' : 'light',
    ...(kind === 'firefox' && {
      downloadsPath: downloads,
      firefoxUserPrefs: {
        'browser.download.folderList': 2,
        'browser.download.dir': downloads,
        'browser.download.useDownloadDir': true,
        // 0 is dark, 1 light. Playwright's own way, colorScheme, does not work in a stock Firefox.
        'layout.css.prefers-color-scheme.content-override': wanted.dark ? 0 : 1,
        'browser.privatebrowsing.autostart': wanted.private === true,
        // Firefox's default. Playwright lets files load each other.
        'security.fileuri.strict_origin_policy': true,
        // KiB for all origins together; each may have a fifth.
        ...(wanted.storage && { 'dom.quotaManager.temporaryStorage.fixedLimit': (wanted.storage * 5) / 1024 }),
        // Firefox's own preference to answer its prompt for persistent storage in tests.
        'dom.storageManager.prompt.testing': wanted.persist === true,
        'dom.storageManager.prompt.testing.allow': wanted.persist === true,
      },
    }),
  });
  let home: Promise<Page> | undefined;
  return { kind, context, downloads, home: () => (home ??= openHome(context)) };
}

/**
 * An empty document of the page's site. It is cross-origin isolated like the page, so that both may share a process.
 */
async function openHome(context: BrowserContext): Promise<Page> {
  const home = await context.newPage();
  const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
  await home.route('**/home', (route) => route.fulfill({ headers, contentType: 'text/html', body: '' }));
  await home.goto('home');
  return home;
}

/**
 * Opens a tab without a document. A script of {@link Profile.home} opens it, so that both share a process: starting one
 * for each tab takes the browser longer than most tests.
 */
export async function openTab(profile: Profile): Promise<Page> {
  const home = await profile.home();
  const opened = home.waitForEvent('popup');
  await home.evaluate(() => void window.open('about:blank'));
  return opened;
}

/**
 * Starts a browser that refuses storage to pages: Firefox in a private window. Chromium provides OPFS in private
 * windows too, so there storage is made to fail in the worker.
 */
async function launchPrivate(folder: string, info: WorkerInfo): Promise<Profile> {
  const profile = await launchProfile(info, folder, { private: true });
  if (profile.kind === 'chromium') {
    await profile.context.route(/worker.*\.js$/, async (route) => {
      const response = await route.fetch();
      const refused = "new DOMException('refused', 'SecurityError')";
      const refuse = `navigator.storage.getDirectory = () => Promise.reject(${refused});`;
      await route.fulfill({ response, body: `${refuse}\n${await response.text()}` });
    });
  }
  return profile;
}

interface WorkerFixtures {
  readonly folder: string;
  readonly images: Images;
  readonly profile: Profile;
  /** A second browser, in the dark theme: started when a test first requests it. */
  readonly darkProfile: Profile;
  /** A third browser, which refuses storage to pages. */
  readonly privateProfile: Profile;
  /**
   * The page with the package alone. It is here because Playwright starts new workers, and so browsers, for a file with
   * its own worker fixtures.
   */
  readonly lab: LabServer;
}

interface TestFixtures {
  readonly page: Page;
  /** The page in the dark theme. */
  readonly darkPage: Page;
}

/** Opens the page for one test, with no image in its storage. An uncaught error of the page fails the test. */
async function visit(profile: Profile, use: (page: Page) => Promise<void>): Promise<void> {
  await clearOpfs(await profile.home());
  const page = await openTab(profile);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.stack ?? error.message));
  await page.goto('/');
  await use(page);
  await page.close();
  expect(faults, 'errors that nobody caught on the page').toEqual([]);
}

/** Playwright's `test`, with a page in a profile on disk, and images. An uncaught error of the page fails its test. */
export const test = base.extend<TestFixtures, WorkerFixtures>({
  folder: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's dependencies from this pattern
    async ({}, use) => {
      const folder = await mkdtemp(join(tmpdir(), 'qcow2-e2e-'));
      await use(folder);
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
    { scope: 'worker' },
  ],
  images: [
    async ({ folder }, use) => {
      const path = join(folder, 'images');
      await mkdir(path);
      await use(new Images(path));
    },
    { scope: 'worker' },
  ],
  profile: [
    async ({ folder }, use, info) => {
      const profile = await launchProfile(info, folder);
      await use(profile);
      await profile.context.close();
    },
    { scope: 'worker' },
  ],
  darkProfile: [
    async ({ folder }, use, info) => {
      const profile = await launchProfile(info, join(folder, 'dark'), { dark: true });
      await use(profile);
      await profile.context.close();
    },
    { scope: 'worker' },
  ],
  privateProfile: [
    async ({ folder }, use, info) => {
      const profile = await launchPrivate(join(folder, 'private'), info);
      await use(profile);
      await profile.context.close();
    },
    { scope: 'worker' },
  ],
  lab: [
    async ({ folder }, use) => {
      const lab = await startLab(folder);
      await use(lab);
      await lab.close();
    },
    { scope: 'worker' },
  ],
  page: ({ profile }, use) => visit(profile, use),
  darkPage: ({ darkProfile }, use) => visit(darkProfile, use),
});

export { expect } from '@playwright/test';

/** Drops files on the page as a user does: first dragged over the window, then dropped. */
export async function drop(page: Page, ...paths: string[]): Promise<void> {
  await (await drag(page, ...paths))();
}

/** Gives the page's browser files to drop, and returns what drops them. */
export async function drag(page: Page, ...paths: string[]): Promise<() => Promise<void>> {
  const input = await page.evaluateHandle(() => {
    const element = document.createElement('input');
    element.type = 'file';
    element.multiple = true;
    element.hidden = true;
    document.documentElement.append(element);
    return element;
  });
  await input.setInputFiles(paths);
  return () =>
    input.evaluate((element) => {
      const data = new DataTransfer();
      for (const file of element.files ?? []) data.items.add(file);
      element.remove();
      const fire = (type: string): boolean =>
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
      if (fire('dragenter') || fire('dragover')) throw new Error('The page does not take what is dragged over it.');
      fire('drop');
    });
}

/** Chooses files with the page's own button. */
export async function choose(page: Page, button: string, ...paths: string[]): Promise<void> {
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: button }).click();
  await (await chooser).setFiles(paths);
}

/**
 * Waits until the page shows the image or snapshot of that name: until then, the buttons may belong to an image that
 * was open before.
 */
export async function titled(page: Page, name: string): Promise<void> {
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
}

/**
 * Waits until a press no longer counts as the second one of a double click, which the page blocks on a changed button.
 */
export function afterDoubleClick(page: Page): Promise<void> {
  return page.waitForTimeout(600);
}

/** Waits until the map has loaded. */
export async function mapLoaded(page: Page): Promise<void> {
  await expect(page.getByText(/A cell is .* of the disk\./)).toBeVisible({ timeout: 15_000 });
}

/** Removes the file picker from the page, as in Firefox and Safari. */
export function withoutPicker(page: Page): Promise<void> {
  return page.evaluate(() => {
    Object.assign(window, { showSaveFilePicker: undefined });
  });
}

/** The names of all files in the page's OPFS, temporary ones too. */
export function opfsFiles(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const names: string[] = [];
    const walk = async (folder: FileSystemDirectoryHandle): Promise<void> => {
      for await (const [name, handle] of folder.entries()) {
        if (handle.kind === 'directory') await walk(handle as FileSystemDirectoryHandle);
        else names.push(name);
      }
    };
    await walk(await navigator.storage.getDirectory());
    return names.sort();
  });
}

/** Clears the OPFS of the page's site, which a profile keeps from one test to the next. */
function clearOpfs(page: Page): Promise<void> {
  const clear = async (): Promise<void> => {
    const root = await navigator.storage.getDirectory();
    const names: string[] = [];
    for await (const name of root.keys()) names.push(name);
    for (const name of names) await root.removeEntry(name, { recursive: true });
  };
  // A worker that was just terminated may have a file open for a moment.
  return expect(() => page.evaluate(clear)).toPass();
}

/** Installs what {@link killWorkers} and {@link countWorkers} need, from the next load of the page on. */
export async function watchWorkers(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const workers: Worker[] = [];
    const Native = Worker;
    window.Worker = class extends Native {
      constructor(...args: ConstructorParameters<typeof Worker>) {
        super(...args);
        workers.push(this);
      }
    };
    Object.assign(window, { workers });
  });
}

/** Terminates the page's workers without notice, as the system does when memory is short. */
export function killWorkers(page: Page): Promise<void> {
  return page.evaluate(() => {
    for (const worker of (window as unknown as { workers: Worker[] }).workers) worker.terminate();
  });
}

/** The number of workers that the page has created. */
export function countWorkers(page: Page): Promise<number> {
  return page.evaluate(() => (window as unknown as { workers: Worker[] }).workers.length);
}

/** The row of a stored image. */
export function row(page: Page, name: string): Locator {
  return page.getByRole('listitem').filter({ has: page.getByRole('heading', { name, exact: true }) });
}

/** Holds the lock of a stored image, as if it were open elsewhere, until the returned function is called. */
export async function holdImage(page: Page, name: string, mode: LockMode): Promise<() => Promise<void>> {
  await page.evaluate(
    ([lock, mode]) => {
      const held = new Promise<void>((resolve) => Object.assign(window, { letGo: resolve }));
      void navigator.locks.request(lock, { mode }, () => held);
    },
    [`qcow2-opfs folder qcow2/${name}`, mode] as const,
  );
  return () => page.evaluate(() => (window as unknown as { letGo: () => void }).letGo());
}

/** Creates an image with the page's dialog: sets its name and size, and runs `more` for other fields. */
export async function create(page: Page, name: string, size: string, more?: () => Promise<void>): Promise<void> {
  await page.getByRole('button', { name: 'Create an image' }).click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Size of the disk').fill(size);
  await more?.();
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(row(page, name)).toBeVisible();
}

/** Runs what starts a download, waits for its file, and returns the path. */
export async function download(
  profile: Profile,
  page: Page,
  name: string,
  start: () => Promise<void>,
): Promise<string> {
  const to = join(profile.downloads, name);
  await rm(to, { force: true });
  if (profile.kind === 'firefox') {
    await start();
    await expect.poll(() => isComplete(profile.downloads, name), { timeout: 30_000 }).toBe(true);
    return to;
  }
  const [event] = await Promise.all([page.waitForEvent('download', { timeout: 60_000 }), start()]);
  expect(event.suggestedFilename()).toBe(name);
  await event.saveAs(to);
  return to;
}

/** Firefox writes to a file beside it and renames: it is complete when it is not empty and there is no partial file. */
async function isComplete(folder: string, name: string): Promise<boolean> {
  const names = await readdir(folder);
  if (!names.includes(name) || names.some((entry) => entry.endsWith('.part'))) return false;
  return (await stat(join(folder, name))).size > 0;
}
