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
  test('leaves an image that is only read readable and listed, while it waits and when it has given up', async () => {
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
    expect(errors).toEqual(errors.map(() => null));
    await reading.close();
  });

  test('gets the image when they let go in time', async () => {
    await makeChain();
    const reading = await store.open('base');
    const change = codeOf(other.remove('overlay').then(() => other.open('base', { mode: 'readwrite' })));
    setTimeout(() => reading.close(), 500);
    expect(await change).toBe('fulfilled');
  });

  test('ends with the very reason when it is aborted', async () => {
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

describe('changes of the names in a folder', () => {
  const never = new AbortController().signal;
  const nothing = async (): Promise<void> => {};

  test('wait for one elsewhere, and then are locked', async () => {
    const locks = new ImageLocks('test');
    const release = await holdLock('qcow2-opfs test');
    const started = performance.now();
    expect(await codeOf(locks.changeNames(never, nothing))).toBe('locked');
    expect(performance.now() - started).toBeGreaterThan(4900);
    const waiting = locks.changeNames(never, nothing);
    release();
    await waiting;
  });

  test('of one worker wait for each other without a limit, in their order', { timeout: 30_000 }, async () => {
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

  test('that are aborted while they wait end with the reason, and neither overtake nor stop the others', async () => {
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

  test('pass while others come all the time', async () => {
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
