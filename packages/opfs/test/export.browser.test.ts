/** Exports through the real worker and the real OPFS: every byte, and nothing left when they fail. */
import { isQcow2Error, type Progress, type Qcow2Error } from 'qcow2';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../src/index.js';
import { holdLock } from '../src/protocol/web-lock.js';
import { exportRaw } from '../src/worker/export/raw-export.js';
import { openSink } from '../src/worker/export/raw-sink.js';
import { CLUSTER, emptyImage, mixedImage, overlayImage, repeatedImage, scatteredImage } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, leaveFile, packageFiles, targetFile } from './support/opfs.js';
import { errorOf } from './support/outcomes.js';
import { killableWorker } from './support/workers.js';

beforeEach(clearStorage);
afterAll(clearStorage);

/** Fails unless every cluster of the file is the given one. */
async function expectRepeated(file: File, size: number, cluster: Uint8Array): Promise<void> {
  expect(file.size).toBe(size);
  for (let at = 0; at < size; at += 64 * CLUSTER) {
    const bytes = await bytesOf(file.slice(at, at + 64 * CLUSTER));
    for (let i = 0; i < bytes.length; i += CLUSTER) {
      const difference = firstDifference(bytes.subarray(i, i + CLUSTER), cluster);
      if (difference >= 0) throw new Error(`the file differs at ${at + i + difference}`);
    }
  }
}

describe('export into a file in OPFS', () => {
  test('writes every byte, over the old contents', async () => {
    const store = await openStore();
    for (const { file, guest } of [await mixedImage(), scatteredImage(3000)]) {
      const to = await targetFile('x'.repeat(3_000_000));
      const image = await store.openFile(file);
      await image.export({ format: 'raw', to });
      expect(firstDifference(await bytesOf(await to.getFile()), guest)).toBe(-1);
    }
    await store.close();
  });

  test('reports bytes that never fall and end at the size', async () => {
    const store = await openStore();
    const { file, size, cluster } = repeatedImage(512, 16);
    const image = await store.openFile(file);
    const to = await targetFile();
    const reports: Progress[] = [];
    const begun = performance.now();
    await image.export({ format: 'raw', to, onProgress: (progress) => reports.push(progress) });
    const seconds = (performance.now() - begun) / 1000;
    await expectRepeated(await to.getFile(), size, cluster);
    expect(reports.at(-1)).toMatchObject({ done: size, total: size });
    expect(reports.every((report, i) => i === 0 || report.done >= reports[i - 1]!.done)).toBe(true);
    expect(reports.length).toBeLessThanOrEqual(seconds * 10 + 2);
    await store.close();
  });

  test('does not read or write 1 GiB of holes', async () => {
    const store = await openStore();
    const image = await store.openFile(emptyImage(2 ** 30));
    const to = await targetFile();
    await image.export({ format: 'raw', to });
    const file = await to.getFile();
    expect(file.size).toBe(2 ** 30);
    expect(firstDifference(await bytesOf(file.slice(2 ** 30 - 4096)), new Uint8Array(4096))).toBe(-1);
    await store.close();
  });

  test('cancelled halfway leaves the file empty and free', async () => {
    const store = await openStore();
    const { file, size } = repeatedImage(2048);
    const image = await store.openFile(file);
    const to = await targetFile('before');
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const seen: number[] = [];
    const onProgress = ({ done }: Progress): void => {
      seen.push(done);
      if (done > size / 8) controller.abort(reason);
    };
    expect(await errorOf(image.export({ format: 'raw', to, signal: controller.signal, onProgress }))).toBe(reason);
    expect(seen.at(-1)).toBeLessThan(size);
    expect((await to.getFile()).size).toBe(0);
    // Free: a handle that was still open would refuse this.
    await (await to.createWritable()).close();
    await store.close();
  });

  test('that fails in the middle leaves the file empty, and rejects with the reason', async () => {
    const store = await openStore();
    const image = await store.openFile(overlayImage('missing', 3 * CLUSTER).file);
    const to = await targetFile('before');
    expect(isQcow2Error(await errorOf(image.export({ format: 'raw', to })), 'reference-refused')).toBe(true);
    expect((await to.getFile()).size).toBe(0);
    await store.close();
  });

  test('of a disk larger than the quota is refused, with the figures', async () => {
    const store = await openStore();
    const image = await store.openFile(emptyImage(2 ** 44));
    const to = await targetFile('before');
    const error = await errorOf(image.export({ format: 'raw', to }));
    expect(isQcow2Error(error, 'no-space')).toBe(true);
    expect((error as Qcow2Error).details).toEqual({ needed: 2 ** 44, available: expect.any(Number) });
    expect(await (await to.getFile()).text()).toBe('before');
    await store.close();
  });

  test('whose target is open elsewhere is locked', async () => {
    const store = await openStore();
    const image = await store.openFile((await mixedImage()).file);
    const to = await targetFile('before');
    const writable = await to.createWritable();
    expect(isQcow2Error(await errorOf(image.export({ format: 'raw', to })), 'locked')).toBe(true);
    await writable.abort();
    expect(await (await to.getFile()).text()).toBe('before');
    await store.close();
  });

  test('refuses unsupported formats, and a target that is not a file', async () => {
    const store = await openStore();
    const image = await store.openFile((await mixedImage()).file);
    const to = await targetFile();
    expect(await errorOf(image.export({ format: 'vmdk' as 'raw', to }))).toBeInstanceOf(TypeError);
    const folder = (await navigator.storage.getDirectory()) as unknown as FileSystemFileHandle;
    expect(await errorOf(image.export({ format: 'raw', to: folder }))).toBeInstanceOf(TypeError);
    await store.close();
  });
});

describe('export through a writable stream, as into a file that the user chose', () => {
  // On the page there are no sync handles: the sink takes the other way, with a real file behind it.
  test('writes every byte', async () => {
    const store = await openStore();
    const { file, guest } = await mixedImage();
    const image = await store.openFile(file);
    const to = await targetFile('before');
    await exportRaw(image, await openSink(to, image.size, null), {});
    expect(firstDifference(await bytesOf(await to.getFile()), guest)).toBe(-1);
    await store.close();
  });

  test('aborted, leaves the file unchanged', async () => {
    const store = await openStore();
    const { file } = repeatedImage(1024);
    const image = await store.openFile(file);
    const to = await targetFile('before');
    const controller = new AbortController();
    const onProgress = (): void => controller.abort('stop');
    const sink = await openSink(to, image.size, null);
    expect(await errorOf(exportRaw(image, sink, { signal: controller.signal, onProgress }))).toBe('stop');
    expect(await (await to.getFile()).text()).toBe('before');
    await store.close();
  });
});

describe('temporary export', () => {
  test('is a temporary file with every byte, and is deleted by remove', async () => {
    const store = await openStore();
    const { file, guest } = await mixedImage();
    const image = await store.openFile(file);
    const temporary = await image.temporaryExport({ format: 'raw' });
    expect(firstDifference(await bytesOf(temporary.file), guest)).toBe(-1);
    const [name] = await packageFiles();
    expect(name).toMatch(/^\.tmp-/);
    expect(await holdLock(name!, { ifFree: true })).toBeNull();
    await image.close();
    expect(firstDifference(await bytesOf(temporary.file), guest)).toBe(-1);
    await temporary.remove();
    await temporary.remove();
    expect(await packageFiles()).toEqual([]);
    await store.close();
  });

  test('downloads by an object URL', async () => {
    const store = await openStore();
    const { file, guest } = await mixedImage();
    const temporary = await (await store.openFile(file)).temporaryExport({ format: 'raw' });
    const url = URL.createObjectURL(temporary.file);
    expect(firstDifference(new Uint8Array(await (await fetch(url)).arrayBuffer()), guest)).toBe(-1);
    URL.revokeObjectURL(url);
    await store.close();
  });

  test('is deleted with its store', async () => {
    const store = await openStore();
    await (await store.openFile((await mixedImage()).file)).temporaryExport({ format: 'raw' });
    expect(await packageFiles()).toHaveLength(1);
    await store.close();
    expect(await packageFiles()).toEqual([]);
  });

  test('leaves no file when it is cancelled, fails, or is ended by closing the store', async () => {
    const store = await openStore();
    const { file } = repeatedImage(4096);
    const image = await store.openFile(file);
    const controller = new AbortController();
    const onProgress = (): void => controller.abort('stop');
    expect(await errorOf(image.temporaryExport({ format: 'raw', signal: controller.signal, onProgress }))).toBe('stop');
    expect(await packageFiles()).toEqual([]);

    const broken = await store.openFile(overlayImage('missing', 3 * CLUSTER).file);
    expect(isQcow2Error(await errorOf(broken.temporaryExport({ format: 'raw' })), 'reference-refused')).toBe(true);
    expect(await packageFiles()).toEqual([]);

    const running = errorOf(image.temporaryExport({ format: 'raw' }));
    await store.close();
    expect(isQcow2Error(await running, 'closed')).toBe(true);
    expect(await packageFiles()).toEqual([]);
  });

  test('rejects with the error of its progress callback, and leaves no file', async () => {
    const store = await openStore();
    const image = await store.openFile(repeatedImage(1024).file);
    const mine = new Error('from the callback');
    const onProgress = (): void => {
      throw mine;
    };
    expect(await errorOf(image.temporaryExport({ format: 'raw', onProgress }))).toBe(mine);
    expect(await packageFiles()).toEqual([]);
    await store.close();
  });

  test('of a disk larger than the quota is refused before anything is written', async () => {
    const store = await openStore();
    const image = await store.openFile(emptyImage(2 ** 44));
    const error = await errorOf(image.temporaryExport({ format: 'raw' }));
    expect(isQcow2Error(error, 'no-space')).toBe(true);
    const { needed, available } = (error as Qcow2Error).details;
    expect(needed).toBe(2 ** 44);
    expect(available).toBeGreaterThan(0);
    expect(await packageFiles()).toEqual([]);
    await store.close();
  });

  test('deletes the files of a dead worker, but not files in use, nor files of other code', async () => {
    const { create, kill } = killableWorker();
    const doomed = await openStore({ worker: create });
    const { file } = await mixedImage();
    await (await doomed.openFile(file)).temporaryExport({ format: 'raw' });
    const [debris] = await packageFiles();

    const living = await openStore();
    const kept = await (await living.openFile(file)).temporaryExport({ format: 'raw' });
    const [inUse] = (await packageFiles()).filter((name) => name !== debris);
    await leaveFile('.tmp-notes', 'somebody else wrote this');
    kill();
    await doomed.close();
    await expect
      .poll(async () => (await navigator.locks.query()).held?.some(({ name }) => name === debris))
      .toBe(false);

    const next = await openStore();
    const temporary = await (await next.openFile(file)).temporaryExport({ format: 'raw' });
    const names = await packageFiles();
    expect(names).not.toContain(debris);
    expect(names).toContain(inUse);
    expect(names).toContain('.tmp-notes');
    await temporary.remove();
    await kept.remove();
    await Promise.all([living.close(), next.close()]);
  });
});
