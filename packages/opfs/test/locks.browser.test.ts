/** The locks of images over several workers: a change that waits, and gives up, keeps no reader away. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../src/index.js';
import { holdLock } from '../src/protocol/web-lock.js';
import { ImageLocks } from '../src/worker/store/image-locks.js';
import { clearStorage } from './support/opfs.js';
import { codeOf } from './support/outcomes.js';

let store: Store;
let other: Store;
beforeEach(async () => {
  await clearStorage();
  [store, other] = await Promise.all([openStore(), openStore()]);
});
afterEach(() => Promise.all([store.close(), other.close()]));
afterAll(clearStorage);

/** Makes `base`, an image, and `overlay`, one that is based on it. */
async function makeChain(): Promise<void> {
  await (await store.create('base', { size: 2 ** 20 })).close();
  await (await store.create('overlay', { size: 2 ** 20, backingFile: 'base', backingFormat: 'qcow2' })).close();
}

describe('a change that waits for readers', () => {
  test('does not affect readers and the list while it waits, nor after its timeout', async () => {
    await makeChain();
    const reading = await store.open('base');
    const change = codeOf(store.open('base', { mode: 'readwrite' }));
    const errors: unknown[] = [];
    for (let round = 0; round < 5; round++) {
      for (const { error } of await other.list()) errors.push(error);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const during = codeOf(other.open('base'));
    expect(await change).toBe('locked');
    const after = codeOf(other.open('overlay'));
    expect(await Promise.all([during, after])).toEqual(['fulfilled', 'fulfilled']);
    for (const { error } of await other.list()) errors.push(error);
    expect(errors).toEqual(errors.map(() => undefined));
    await reading.close();
  });

  test('gets the image when they release it in time', async () => {
    await makeChain();
    const reading = await store.open('base');
    const change = codeOf(other.remove('overlay').then(() => other.open('base', { mode: 'readwrite' })));
    setTimeout(() => reading.close(), 500);
    expect(await change).toBe('fulfilled');
  });

  test('ends with the same reason object when it is aborted', async () => {
    await makeChain();
    const reading = await store.open('base');
    const controller = new AbortController();
    const reason = new Error('enough');
    const change = other.open('base', { mode: 'readwrite', signal: controller.signal });
    setTimeout(() => controller.abort(reason), 200);
    await expect(change).rejects.toBe(reason);
    expect(await codeOf(other.open('base'))).toBe('fulfilled');
    await reading.close();
  });
});

describe.each([
  ['reading, while it is written', 'readwrite', 'read'],
  ['writing, while it is read', 'read', 'readwrite'],
] as const)('an open that waits for the lock, for %s', (_, held, mode) => {
  test('gets the image long after the timeout of an open that does not wait', { timeout: 30_000 }, async () => {
    await makeChain();
    const holding = await store.open('overlay', { mode: held });
    let opened = false;
    const waiting = other.open('overlay', { mode, lock: 'wait' }).finally(() => {
      opened = true;
    });
    expect(await codeOf(other.open('overlay', { mode }))).toBe('locked');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(opened).toBe(false);
    await holding.close();
    await (await waiting).close();
  });

  test('ends with the same reason object when it is aborted, and holds no lock', async () => {
    await makeChain();
    const holding = await store.open('overlay', { mode: held });
    const controller = new AbortController();
    const reason = new Error('enough');
    const waiting = other.open('overlay', { mode, lock: 'wait', signal: controller.signal });
    setTimeout(() => controller.abort(reason), 200);
    await expect(waiting).rejects.toBe(reason);
    await holding.close();
    await (await store.open('overlay', { mode: 'readwrite' })).close();
  });

  test('ends when its store is closed', async () => {
    await makeChain();
    const holding = await store.open('overlay', { mode: held });
    const waiting = codeOf(other.open('overlay', { mode, lock: 'wait' }));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await other.close();
    expect(await waiting).toBe('closed');
    await holding.close();
  });
});

describe('lock', () => {
  test('also applies to the bases', async () => {
    await makeChain();
    const holding = await store.open('base', { mode: 'readwrite' });
    const waiting = other.open('overlay', { lock: 'wait' });
    expect(await codeOf(other.open('overlay'))).toBe('locked');
    await holding.close();
    const overlay = await waiting;
    expect(overlay.info.chain).toHaveLength(2);
    await overlay.close();
  });

  test('accepts two values', async () => {
    const opening = store.open('base', { lock: 'never' as 'wait' });
    await expect(opening).rejects.toBeInstanceOf(TypeError);
  });
});

describe('changes of the names in a folder', () => {
  const never = new AbortController().signal;
  const nothing = async (): Promise<void> => {};

  test('wait for one elsewhere, then reject with locked', async () => {
    const locks = new ImageLocks('test');
    const release = await holdLock('qcow2-opfs test');
    const started = performance.now();
    expect(await codeOf(locks.changeNames(never, nothing))).toBe('locked');
    expect(performance.now() - started).toBeGreaterThan(4900);
    const waiting = locks.changeNames(never, nothing);
    release();
    await waiting;
  });

  test('of one worker wait for each other without a timeout, in order', { timeout: 30_000 }, async () => {
    const locks = new ImageLocks('test');
    const order: number[] = [];
    const change = (nth: number) => async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 2000));
      order.push(nth);
    };
    const codes = await Promise.all([1, 2, 3, 4].map((nth) => codeOf(locks.changeNames(never, change(nth)))));
    expect(codes).toEqual(codes.map(() => 'fulfilled'));
    expect(order).toEqual([1, 2, 3, 4]);
  });

  test('that are aborted while they wait reject with the reason, and do not affect the others', async () => {
    const locks = new ImageLocks('test');
    const order: string[] = [];
    let end: () => void = () => expect.unreachable();
    let begun = false;
    const first = locks.changeNames(never, async () => {
      await new Promise<void>((resolve) => {
        end = resolve;
        begun = true;
      });
      order.push('first');
    });
    const controller = new AbortController();
    const reason = new Error('enough');
    const second = locks.changeNames(controller.signal, async () => void order.push('second'));
    const third = locks.changeNames(never, async () => void order.push('third'));
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    await expect.poll(() => begun).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(order).toEqual([]);
    end();
    await Promise.all([first, third]);
    expect(order).toEqual(['first', 'third']);
  });

  test('get the lock while others arrive continuously', async () => {
    const busy = new ImageLocks('test');
    const other = new ImageLocks('test');
    let on = true;
    const loop = async (): Promise<void> => {
      while (on) await busy.changeNames(never, () => new Promise((resolve) => setTimeout(resolve, 10)));
    };
    const loops = [loop(), loop(), loop()];
    for (let round = 0; round < 5; round++) expect(await codeOf(other.changeNames(never, nothing))).toBe('fulfilled');
    on = false;
    await Promise.all(loops);
  });
});
