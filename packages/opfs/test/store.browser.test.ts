/** The life of a store: starting, closing, a worker that cannot start, and one that dies. */
import { isQcow2Error } from 'qcow2';
import { describe, expect, test } from 'vitest';
import { openStore } from '../src/index.js';
import { Connection } from '../src/page/connection.js';
import { mixedImage, repeatedImage } from './support/images.js';
import { firstDifference } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';
import { killableWorker, workerWithoutStorage } from './support/workers.js';

describe('a store', () => {
  test('can be closed twice, and then rejects with closed', async () => {
    const store = await openStore();
    const { file } = await mixedImage();
    const image = await store.openFile(file);
    await Promise.all([store.close(), store.close()]);
    expect(await codeOf(store.openFile(file))).toBe('closed');
    expect(await codeOf(image.read(0, new Uint8Array(1)))).toBe('closed');
    await image.close();
  });

  test('rejects running calls with closed when it is closed', async () => {
    const store = await openStore();
    const { file, size } = repeatedImage(1024);
    const image = await store.openFile(file);
    const running = codeOf(image.read(0, new Uint8Array(size)));
    await store.close();
    expect(await running).toBe('closed');
  });

  test('works where storage is refused, as in private windows', async () => {
    const store = await openStore({ worker: workerWithoutStorage });
    const { file, guest } = await mixedImage();
    const image = await store.openFile(file);
    const into = new Uint8Array(guest.length);
    await image.read(0, into);
    expect(firstDifference(into, guest)).toBe(-1);
    expect(await codeOf(image.temporaryExport({ format: 'raw' }))).toBe('unavailable');
    await store.close();
  });

  test('leaves no lock behind', async () => {
    const locks = async (): Promise<string[]> => {
      const { held = [], pending = [] } = await navigator.locks.query();
      return [...held, ...pending].map(({ name }) => String(name));
    };
    const before = await locks();
    const store = await openStore();
    // The worker holds one, and the page waits for it.
    const own = (await locks()).filter((name) => !before.includes(name));
    expect(own).toHaveLength(2);
    expect(own[0]).toBe(own[1]);
    await store.close();
    await expect.poll(async () => (await locks()).filter((name) => own.includes(name))).toEqual([]);
  });
});

describe('a worker that cannot start', () => {
  test('because its script does not exist', async () => {
    const worker = (): Worker => new Worker(new URL('/no-such-worker.js', location.href), { type: 'module' });
    expect(await codeOf(openStore({ worker }))).toBe('failed');
  });

  test('because its script throws', async () => {
    const script = URL.createObjectURL(new Blob(['throw new Error("broken")'], { type: 'text/javascript' }));
    expect(await codeOf(openStore({ worker: () => new Worker(script, { type: 'module' }) }))).toBe('failed');
    URL.revokeObjectURL(script);
  });

  test('because its constructor throws', async () => {
    const worker = (): Worker => {
      throw new DOMException('not here', 'SecurityError');
    };
    const error = await openStore({ worker }).catch((error: unknown) => error);
    expect(isQcow2Error(error, 'failed')).toBe(true);
    expect((error as Error).cause).toMatchObject({ name: 'SecurityError' });
  });
});

describe('a worker that dies', () => {
  test('rejects every pending and every later call with failed', async () => {
    const { create, kill } = killableWorker();
    const store = await openStore({ worker: create });
    const { file, size } = repeatedImage(1024);
    const image = await store.openFile(file);
    const iterator = image.map();
    const reader = image.readable().getReader();
    const pending = [
      image.read(0, new Uint8Array(size)),
      image.read(0, new Uint8Array(new SharedArrayBuffer(size))),
      image.seekData(0),
      iterator.next(),
      reader.read(),
      store.openFile(file, { resolve: () => new Promise(() => {}) }),
    ].map(codeOf);
    kill();
    const killed = performance.now();
    expect(await Promise.all(pending)).toEqual(pending.map(() => 'failed'));
    expect(performance.now() - killed).toBeLessThan(2000);

    expect(await codeOf(image.read(0, new Uint8Array(1)))).toBe('failed');
    expect(await codeOf(image.stats())).toBe('failed');
    expect(await codeOf(image.map().next())).toBe('failed');
    expect(await codeOf(image.readable().getReader().read())).toBe('failed');
    expect(await codeOf(store.openFile(file))).toBe('failed');
    await image.close();
    await store.close();
  });

  test('before its first response, without an error event, rejects the start', async () => {
    const { create, kill } = killableWorker();
    const silent = (): Worker => {
      const worker = create();
      kill();
      return worker;
    };
    const started = performance.now();
    expect(await codeOf(Connection.start(silent, { startTimeout: 300 }))).toBe('failed');
    expect(performance.now() - started).toBeGreaterThanOrEqual(299);
  });

  test('during an open rejects the open', async () => {
    const { create, kill } = killableWorker();
    const store = await openStore({ worker: create });
    const opening = codeOf(store.openFile((await mixedImage()).file));
    kill();
    expect(await opening).toBe('failed');
    await store.close();
  });

  test('while the store closes does not prevent that', async () => {
    const { create, kill } = killableWorker();
    const store = await openStore({ worker: create });
    const closing = store.close();
    kill();
    await closing;
  });
});
