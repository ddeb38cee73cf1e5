/**
 * Imports into and exports from a store, through the real worker and the real OPFS: every byte, and nothing left when
 * they fail.
 */
import type { Progress } from 'qcow2';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { CLUSTER, emptyImage, longFile, mixedImage, noise, overlayImage, repeatedImage } from './support/images.js';
import { bytesOf, clearStorage, firstDifference, packageFiles, targetFile } from './support/opfs.js';
import { chunked, codeOf, drain, errorOf, stalling } from './support/outcomes.js';
import { flushReportingWorker, killableWorker, workerWithoutWorkers } from './support/workers.js';

let store: Store;
beforeEach(async () => {
  await clearStorage();
  store = await openStore();
});
afterEach(() => store.close());
afterAll(clearStorage);

/** Begins to import `from` as `disk`: resolves when the first of it is copied, and so the name is held. */
async function begunImport(
  into: Store,
  from: Blob | ReadableStream<Uint8Array>,
): Promise<{ outcome: Promise<string> }> {
  return new Promise((resolve) => {
    const outcome = codeOf(into.import('disk', from, { onProgress: () => resolve({ outcome }) }));
  });
}

async function expectStored(name: string, expected: Blob): Promise<void> {
  const stored = await drain(await store.export(name, { format: 'qcow2' }));
  expect(firstDifference(stored, await bytesOf(expected))).toBe(-1);
}

describe('import', () => {
  test('accepts a File, another Blob and a stream, byte for byte', async () => {
    const file = await longFile(5);
    const bytes = await bytesOf(file);
    await store.import('file', file);
    await store.import('blob', new Blob([bytes]));
    await store.import('stream', file.stream());
    const { stream } = chunked(bytes, 70_001);
    await store.import('chunks', stream);
    for (const name of ['file', 'blob', 'stream', 'chunks']) await expectStored(name, file);
    expect(await packageFiles()).toEqual(['blob', 'chunks', 'file', 'stream']);
  });

  test('does not detach the buffers of a stream', async () => {
    const bytes = await bytesOf((await mixedImage()).file);
    await store.import('disk', chunked(bytes, bytes.length).stream);
    expect(bytes.length).toBeGreaterThan(CLUSTER);
  });

  test('reports bytes that never fall and end at the size', async () => {
    const file = await longFile(24);
    const reports: Progress[] = [];
    const begun = performance.now();
    await store.import('disk', file, { onProgress: (progress) => reports.push(progress) });
    expect(reports.at(-1)).toEqual({ phase: 'import', done: file.size, total: file.size });
    expect(reports.map(({ done }) => done)).toEqual(reports.map(({ done }) => done).sort((a, b) => a - b));
    expect(reports.length).toBeLessThanOrEqual((performance.now() - begun) / 100 + 2);

    const ofStream: Progress[] = [];
    await store.import('other', file.stream(), { onProgress: (progress) => ofStream.push(progress) });
    expect(ofStream.at(-1)).toEqual({ phase: 'import', done: file.size, total: Number.POSITIVE_INFINITY });
  });

  test('cancelled halfway leaves no file', async () => {
    const file = await longFile(1024);
    const reason = new Error('enough');
    const seen: number[] = [];
    const halfway = (): { signal: AbortSignal; onProgress: (progress: Progress) => void } => {
      const controller = new AbortController();
      return {
        signal: controller.signal,
        onProgress({ done }) {
          seen.push(done);
          if (done > 0) controller.abort(reason);
        },
      };
    };
    expect(await errorOf(store.import('disk', file, halfway()))).toBe(reason);
    expect(await packageFiles()).toEqual([]);
    const short = await longFile(16);
    const { stream, state } = chunked(await bytesOf(short), 2 ** 12);
    expect(await errorOf(store.import('disk', stream, halfway()))).toBe(reason);
    expect(state.cancelled).toBe(reason);
    expect(state.given).toBeLessThan(short.size);
    expect(Math.max(...seen)).toBeLessThan(file.size);
    expect(await packageFiles()).toEqual([]);
    await store.import('disk', short);
    await expectStored('disk', short);
  });

  test('cancelled while a stream is stalled does not wait for it', async () => {
    const controller = new AbortController();
    const { stream } = stalling(await bytesOf((await mixedImage()).file));
    const importing = errorOf(store.import('disk', stream, { signal: controller.signal }));
    await expect.poll(packageFiles).not.toEqual([]);
    controller.abort('stop');
    expect(await importing).toBe('stop');
    expect(await packageFiles()).toEqual([]);
  });

  test('rejects with the error of the stream, and leaves no file', async () => {
    const mine = new Error('from the stream');
    const head = await bytesOf((await mixedImage()).file);
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(head);
      },
      pull() {
        throw mine;
      },
    });
    expect(await errorOf(store.import('disk', stream))).toBe(mine);
    const strings = new ReadableStream({ start: (controller) => controller.enqueue('text') });
    expect(await errorOf(store.import('disk', strings))).toBeInstanceOf(TypeError);
    expect(await errorOf(store.import('disk', 'text' as unknown as Blob))).toBeInstanceOf(TypeError);
    expect(await packageFiles()).toEqual([]);
  });

  test('of a stream uses no more of the quota than the size of its image, and frees it', async () => {
    const used = async (): Promise<number> => (await store.estimate()).usage;
    const file = await longFile(16);
    const before = await used();
    for (let round = 0; round < 3; round++) {
      await store.import('disk', file.stream());
      await store.remove('disk');
    }
    expect((await used()) - before).toBeLessThan(file.size / 2);
  });

  test('refuses the name of a folder', async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle('qcow2', { create: true });
    await (await folder.getDirectoryHandle('tenant', { create: true })).getFileHandle('precious', { create: true });
    const { file } = await mixedImage();
    expect(await codeOf(store.import('tenant', file))).toBe('exists');
    expect(await codeOf(store.create('tenant', { size: 512 }))).toBe('exists');
    await store.import('disk', file);
    expect(await codeOf(store.rename('disk', 'tenant'))).toBe('exists');
    await (await folder.getDirectoryHandle('tenant')).getFileHandle('precious');
  });

  test('of chunks whose slice shares memory, such as Buffers, does not detach their memory', async () => {
    class Sharing extends Uint8Array<ArrayBuffer> {
      override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
        return this.subarray(start, end);
      }
    }
    const { file } = await mixedImage();
    const pool = new Sharing(await file.arrayBuffer());
    const half = pool.length >> 1;
    const parts = [pool.subarray(0, half), pool.subarray(half)];
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = parts.shift();
        if (part) controller.enqueue(part);
        else controller.close();
      },
    });
    await store.import('disk', stream);
    expect(pool.length).toBe(file.size);
    await expectStored('disk', file);
  });

  test('of a file that is not an image is refused, and leaves no file', async () => {
    const other = new Blob([noise(3_000_000, 1)]);
    for (const from of [other, other.stream(), new Blob([]), new Blob([]).stream()]) {
      expect(await codeOf(store.import('disk', from))).toBe('not-qcow2');
    }
    const { file } = await mixedImage();
    expect(await codeOf(store.import('disk', file.slice(0, 100)))).toBe('corrupt');
    expect(await packageFiles()).toEqual([]);
  });

  test('under an existing name changes nothing, and cancels the stream', async () => {
    const { file } = await mixedImage();
    await store.import('disk', file);
    const { stream, state } = chunked(noise(1000, 1), 100);
    expect(await codeOf(store.import('disk', stream))).toBe('exists');
    expect(state.cancelled).toMatchObject({ code: 'exists' });
    expect(await codeOf(store.import('disk', await longFile(1)))).toBe('exists');
    expect(await packageFiles()).toEqual(['disk']);
    await expectStored('disk', file);
  });

  test('aborted while another call uses the name leaves no file', async () => {
    const other = await openStore();
    const { file } = await mixedImage();
    const { stream } = stalling(await bytesOf(file));
    const first = await begunImport(other, stream);
    const abort = new AbortController();
    const reason = new Error('enough');
    const second = errorOf(store.import('disk', file, { signal: abort.signal }));
    await expect.poll(async () => (await packageFiles()).length).toBe(2);
    abort.abort(reason);
    expect(await second).toBe(reason);
    expect(await packageFiles()).toHaveLength(1);
    await other.close();
    expect(await first.outcome).toBe('closed');
    expect(await packageFiles()).toEqual([]);
  });

  test('ended by closing the store leaves no file', async () => {
    const { state, stream } = stalling(await bytesOf((await mixedImage()).file));
    const importing = codeOf(store.import('disk', stream));
    await expect.poll(packageFiles).not.toEqual([]);
    await store.close();
    expect(state.cancelled).toMatchObject({ code: 'closed' });
    expect(await importing).toBe('closed');
    expect(await packageFiles()).toEqual([]);
  });

  test('whose worker is killed rejects, and the next store deletes its temporary file', async () => {
    const { create, kill } = killableWorker();
    const doomed = await openStore({ worker: create });
    const { stream } = stalling(await bytesOf((await mixedImage()).file));
    const importing = codeOf(doomed.import('disk', stream));
    await expect.poll(packageFiles).toEqual([expect.stringMatching(/^\.tmp-/)]);
    kill();
    expect(await importing).toBe('failed');
    await doomed.close();
    expect(await packageFiles()).toHaveLength(1);

    const next = await openStore();
    // Nobody waits for it, and nothing has to be asked for.
    await expect.poll(packageFiles).toEqual([]);
    const { file } = await mixedImage();
    await next.import('disk', file);
    expect(await packageFiles()).toEqual(['disk']);
    await next.close();
  });
});

describe('flushing in parallel', () => {
  test('is done by a second worker where a file can have several handles, and it releases the file', async () => {
    const told: string[] = [];
    const channel = new BroadcastChannel('flushes');
    channel.onmessage = ({ data }: MessageEvent<string>) => told.push(data);
    const telling = await openStore({ worker: flushReportingWorker });
    await telling.import('short', await longFile(20));
    await expect.poll(() => told).toEqual(['flushed']);
    await telling.import('disk', await longFile(40));
    // Nothing waits between an import and what needs the file alone.
    await telling.rename('disk', 'other');
    await (await telling.open('other', { mode: 'readwrite' })).close();
    const count = (what: string): number => told.filter((word) => word === what).length;
    await expect.poll(() => count('flushed')).toBeGreaterThanOrEqual(2);
    const several = !navigator.userAgent.includes('Firefox');
    expect([count('opened'), count('closed')]).toEqual(several ? [1, 1] : [0, 0]);
    if (several) expect(count('requested')).toBeGreaterThanOrEqual(4);
    else expect(count('requested')).toBe(0);
    channel.close();
    await telling.close();
  });

  test('also ends if the file cannot be given its name', async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle('qcow2', { create: true });
    const file = await longFile(80);
    const { outcome } = await begunImport(store, file);
    await folder.getDirectoryHandle('disk', { create: true });
    // Firefox puts the file in the place of a folder.
    expect(['io', 'fulfilled']).toContain(await outcome);
    await folder.removeEntry('disk', { recursive: true });
    expect(await packageFiles()).toEqual([]);
    await store.import('disk', await longFile(1));
  });

  test.each(['no workers', 'no script'] as const)('is skipped where there is none: %s', async (lack) => {
    const alone = await openStore({ worker: () => workerWithoutWorkers(lack) });
    const file = await longFile(40);
    await alone.import('disk', file);
    await alone.close();
    await expectStored('disk', file);
  });
});

describe('export', () => {
  test("as raw has the guest's bytes, as qcow2 those of the file: as a stream and into a file", async () => {
    const { file, guest } = await mixedImage();
    await store.import('base', file);
    const overlay = overlayImage('base', guest.length);
    await store.import('overlay', overlay.file);
    const expected = guest.slice();
    expected.set(overlay.own, CLUSTER);

    expect(firstDifference(await drain(await store.export('overlay', { format: 'raw' })), expected)).toBe(-1);
    await expectStored('overlay', overlay.file);
    for (const [format, bytes] of [
      ['raw', expected],
      ['qcow2', await bytesOf(overlay.file)],
    ] as const) {
      const to = await targetFile('x'.repeat(3_000_000));
      expect(await store.export('overlay', { format, to })).toBeUndefined();
      expect(firstDifference(await bytesOf(await to.getFile()), bytes)).toBe(-1);
    }
    await store.remove('overlay');
    await store.remove('base');
  });

  test('locks the image until its stream ends or is cancelled', async () => {
    const file = await longFile(8);
    await store.import('disk', file);
    for (const format of ['raw', 'qcow2'] as const) {
      const stream = await store.export('disk', { format });
      expect(await codeOf(store.remove('disk'))).toBe('locked');
      await stream.cancel();
      await drain(await store.export('disk', { format }));
      await store.rename('disk', 'renamed');
      await store.rename('renamed', 'disk');
    }
  });

  test('that is aborted before its stream is read releases the image', async () => {
    await store.import('disk', await longFile(8));
    for (const format of ['raw', 'qcow2'] as const) {
      const reason = new Error('enough');
      const abort = new AbortController();
      const stream = await store.export('disk', { format, signal: abort.signal });
      abort.abort(reason);
      await store.rename('disk', 'renamed');
      await store.rename('renamed', 'disk');
      expect(await errorOf(drain(stream))).toBe(reason);
    }
  });

  test('reports its progress, and stops for a signal', async () => {
    // Long enough to be under way still when the abort arrives in the worker.
    await store.import('disk', await longFile(256));
    const reason = new Error('enough');
    for (const to of [undefined, await targetFile('before')]) {
      const reports: Progress[] = [];
      const onProgress = (progress: Progress): void => void reports.push(progress);
      const written = await store.export('disk', { format: 'qcow2', onProgress, ...(to && { to }) });
      if (written) await drain(written);
      const { done, total } = reports.at(-1)!;
      expect(done).toBe(total);
      expect(total).toBeGreaterThan(32 * 2 ** 20);

      const controller = new AbortController();
      const { signal } = controller;
      const stopped = async (): Promise<void> => {
        const stream = await store.export('disk', {
          format: 'qcow2',
          signal,
          onProgress: () => controller.abort(reason),
          ...(to && { to }),
        });
        if (!stream) return;
        const reader = stream.getReader();
        await reader.read();
        // Reports and chunks come through two ports: a fast reader could be at the end before the first report.
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
        reader.releaseLock();
        await drain(stream);
      };
      expect(await errorOf(stopped())).toBe(reason);
      if (to) expect((await to.getFile()).size).toBe(0);
    }
    await store.remove('disk');
  });

  test('refuses formats it does not have, and what is no file', async () => {
    await store.import('disk', (await mixedImage()).file);
    expect(await errorOf(store.export('disk', { format: 'vmdk' as 'raw' }))).toBeInstanceOf(TypeError);
    const folder = (await navigator.storage.getDirectory()) as unknown as FileSystemFileHandle;
    expect(await errorOf(store.export('disk', { format: 'qcow2', to: folder }))).toBeInstanceOf(TypeError);
  });

  test('of a disk larger than the quota is no-space, and keeps the file', async () => {
    await store.import('huge', emptyImage(2 ** 44));
    const to = await targetFile('before');
    expect(await errorOf(store.export('huge', { format: 'raw', to }))).toMatchObject({
      code: 'no-space',
      details: { needed: 2 ** 44 },
    });
    expect(await (await to.getFile()).text()).toBe('before');
    expect((await store.list()).map(({ name }) => name)).toEqual(['huge']);
  });
});

test('an image of many clusters is imported, and exported as raw', async () => {
  const { file, size, cluster } = repeatedImage(512);
  await store.import('repeated', file);
  const raw = await drain(await store.export('repeated', { format: 'raw' }));
  expect(raw.length).toBe(size);
  for (let at = 0; at < size; at += CLUSTER) {
    if (firstDifference(raw.subarray(at, at + CLUSTER), cluster) >= 0) throw new Error(`cluster at ${at} differs`);
  }
});
