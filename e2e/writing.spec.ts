/**
 * Writing from a page in real browsers: over files from elsewhere, with the quota spent, with the tab killed. qemu-img
 * judges.
 */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, launchProfile, test } from './fixtures.js';
import { qemuImg } from './images.js';
import { killTab } from './kill-tab.js';
import { gotoLab, takeFile } from './lab.js';

const MIB = 2 ** 20;

/** What qemu-img finds in an image: nothing, or leaks alone; anything else fails. */
async function requireSound(path: string): Promise<number> {
  const { code, stdout } = await qemuImg('check', '-f', 'qcow2', path).then(
    (stdout) => ({ code: 0, stdout }),
    (error: { code: number; stdout: string }) => error,
  );
  expect([0, 3], stdout).toContain(code);
  return code;
}

for (const from of ['a web server', 'a dropped file'] as const) {
  test(`a disk over ${from} opens immediately, and stores only changes`, async ({ page, lab, folder }) => {
    const home = join(folder, `over ${from}`);
    await mkdir(home);
    const raw = randomBytes(4 * MIB);
    await writeFile(join(home, 'base.raw'), raw);
    await qemuImg('convert', '-q', '-f', 'raw', '-O', 'qcow2', '-c', join(home, 'base.raw'), join(home, 'base.qcow2'));
    const image = await readFile(join(home, 'base.qcow2'));
    const url = await lab.serve('base.qcow2', image);
    await gotoLab(page, lab);
    await page.setContent('<input type="file">');
    await page.locator('input').setInputFiles(join(home, 'base.qcow2'));

    const written = randomBytes(300_000);
    const seen = await page.evaluate(
      async ({ from, url, size, text }) => {
        const file = document.querySelector('input')?.files?.[0];
        const resolve = async (): Promise<File | { url: string } | undefined> =>
          from === 'a web server' ? { url } : file;
        const store = await window.lab.openStore();
        if ((await store.list()).some(({ name }) => name === 'overlay')) await store.remove('overlay');
        const shape = { size, backingFile: 'base.qcow2', backingFormat: 'qcow2', resolve };
        const disk = await store.create('overlay', shape);
        const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
        await disk.write(100_000, bytes);
        await new Blob([bytes]).stream().pipeTo(disk.writable({ start: 3_000_000 }));
        await disk.discard(65_536 * 10, 65_536);
        await disk.close();
        const again = await store.open('overlay', { mode: 'readwrite', resolve });
        const read = await window.lab.disk(again);
        await store.close();
        return read;
      },
      { from, url, size: raw.length, text: written.toString('base64') },
    );
    written.copy(raw, 100_000);
    written.copy(raw, 3_000_000);
    raw.fill(0, 65_536 * 10, 65_536 * 11);
    expect(Buffer.from(seen, 'base64').equals(raw)).toBe(true);

    await takeFile(page, 'overlay', join(home, 'overlay'));
    await writeFile(join(home, 'expected.raw'), raw);
    expect(await requireSound(join(home, 'overlay'))).toBe(0);
    await qemuImg('compare', '-f', 'qcow2', '-F', 'raw', join(home, 'overlay'), join(home, 'expected.raw'));
    expect((await readFile(join(home, 'overlay'))).length).toBeLessThan(2 * MIB);
  });
}

test('two tabs do not write one image: the second is refused until the first has closed', async ({ page, lab }) => {
  const other = await page.context().newPage();
  await gotoLab(page, lab);
  await gotoLab(other, lab);
  await page.evaluate(async () => {
    const store = await window.lab.openStore();
    const disk = await store.create('one of two', { size: 1_048_576 });
    await disk.write(0, new Uint8Array(70_000).fill(7));
    Object.assign(window, { letGo: () => disk.close() });
  });
  const open = (): Promise<string | number> =>
    other.evaluate(async () => {
      const store = await window.lab.openStore();
      try {
        const disk = await store.open('one of two', { mode: 'readwrite' });
        const end = new Uint8Array(1);
        await disk.read(69_999, end);
        return end[0]!;
      } catch (error) {
        return (error as { code: string }).code;
      } finally {
        await store.close();
      }
    });
  expect(await open()).toBe('locked');
  await page.evaluate('letGo()');
  expect(await open()).toBe(7);
  await other.close();
});

test('an exceeded quota during writing is reported, and flushed data is intact', async ({ lab, folder }) => {
  const home = join(folder, 'quota');
  const quota = 24 * MIB;
  const profile = await launchProfile(test.info(), home, { storage: quota });
  try {
    const page = await profile.context.newPage();
    await gotoLab(page, lab);
    if (profile.kind === 'chromium') {
      const session = await profile.context.newCDPSession(page);
      const { origin } = new URL(lab.address);
      await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: quota });
    }
    const outcome = await page.evaluate(async (chunk) => {
      const store = await window.lab.openStore();
      const disk = await store.create('disk', { size: 128 * chunk });
      const fill = (index: number): Promise<void> => disk.write(index * chunk, new Uint8Array(chunk).fill(index + 1));
      let index = 0;
      for (; index < 4; index++) await fill(index);
      await disk.flush();
      let error = 'fulfilled';
      // Four at a time, so that it happens in the middle of something.
      for (; error === 'fulfilled' && index < 120; index += 4) {
        const writes = Promise.all([0, 1, 2, 3].map((step) => fill(index + step)));
        error = await window.lab.codeOf(writes.then(() => disk.flush()));
      }
      const after = [await window.lab.codeOf(fill(0)), await window.lab.codeOf(disk.flush())];
      await disk.close();
      const again = await store.open('disk', { mode: 'readwrite' });
      const bytes = new Uint8Array(4 * chunk);
      await again.read(0, bytes);
      const kept = [0, 1, 2, 3].map((at) =>
        bytes.subarray(at * chunk, (at + 1) * chunk).every((byte) => byte === at + 1),
      );
      // What has its place already needs no more of the quota.
      await again.write(0, new Uint8Array(chunk).fill(99));
      await again.flush();
      const { corruptions } = await again.check();
      await store.close();
      return { error, after, kept, corruptions, index };
    }, MIB);
    expect(outcome).toEqual({
      error: 'no-space',
      after: ['failed', 'failed'],
      kept: [true, true, true, true],
      corruptions: 0,
      index: expect.any(Number),
    });
    expect(outcome.index).toBeGreaterThan(8);
    const path = join(folder, 'spent.qcow2');
    await takeFile(page, 'disk', path);
    await requireSound(path);
  } finally {
    await profile.context.close();
  }
});

test('a tab that is killed during writing leaves an intact image with all flushed data', async ({ lab, folder }) => {
  const home = join(folder, 'killed while writing');
  let profile = await launchProfile(test.info(), home);
  try {
    const page = await profile.context.newPage();
    await gotoLab(page, lab);
    let started = 0;
    let flushed = 0;
    await page.exposeFunction('started', (round: number) => {
      started = round;
    });
    await page.exposeFunction('flushed', (round: number) => {
      flushed = round;
    });
    await page.evaluate(async () => {
      const { started, flushed } = window as unknown as Record<'started' | 'flushed', (round: number) => Promise<void>>;
      const store = await window.lab.openStore();
      const disk = await store.create('disk', { size: 8 * 2 ** 20 });
      void window.lab.writeRounds(disk, started, flushed);
    });
    await expect.poll(() => flushed).toBeGreaterThan(20);
    profile = await killTab(profile, page, home);

    const next = await profile.context.newPage();
    await gotoLab(next, lab);
    const path = join(folder, 'killed.qcow2');
    await takeFile(next, 'disk', path);
    await requireSound(path);
    await copyFile(path, `${path}.copy`);
    const raw = join(folder, 'killed.raw');
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', `${path}.copy`, raw);
    judgeRounds(await readFile(raw), flushed, started);
    // Here, too, it opens for writing and goes on.
    const { report, disk } = await next.evaluate(async () => {
      const store = await window.lab.openStore();
      const image = await store.open('disk', { mode: 'readwrite' });
      const report = await image.check();
      const disk = await window.lab.disk(image);
      await image.write(0, new Uint8Array(100_000));
      await store.close();
      return { report, disk };
    });
    expect(report.corruptions).toBe(0);
    expect(Buffer.from(disk, 'base64').equals(await readFile(raw))).toBe(true);
  } finally {
    await profile.context.close();
  }
});

/** Every block is as the last round that was flushed left it, or as one that had begun since did. */
function judgeRounds(disk: Buffer, flushed: number, started: number): void {
  const blocks = 1024;
  const allowed = Array.from({ length: blocks }, () => [0]);
  for (let round = 1; round <= started; round++) {
    for (let step = 0; step < 32; step++) {
      const block = (round * 37 + step * 61) % blocks;
      allowed[block] = round <= flushed ? [round] : [...(allowed[block] ?? []), round];
    }
  }
  for (let at = 0; at < disk.length; at += 4) {
    const block = Math.floor(at / 8192);
    const word = disk.readUInt32LE(at);
    if (!allowed[block]?.includes(word)) {
      throw new Error(`block ${block} holds ${word}, where only ${allowed[block]} may be`);
    }
  }
}
