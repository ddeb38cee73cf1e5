/** The read/write lock: readers share it, a writer has it alone, and requests get it in the order of their arrival. */
import { describe, expect, it } from 'vitest';
import { RwLock } from '../../src/engine/async/rw-lock.js';
import { deferred } from '../support/deferred.js';

/** Starts a request that holds the lock until `end` is resolved, and logs when it gets the lock. */
function hold(lock: RwLock, kind: 'reading' | 'writing', name: string, log: string[], signal?: AbortSignal) {
  const end = deferred();
  const work = async (): Promise<string> => {
    log.push(name);
    await end.promise;
    return name;
  };
  const done = Promise.resolve(kind === 'reading' ? lock.reading(work, signal) : lock.writing(work));
  return { done, end: end.resolve };
}

/** Lets everything happen that waits for no timer. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a free lock', () => {
  it('runs synchronous work before the call returns, and returns its value', () => {
    const lock = new RwLock();
    expect(lock.reading(() => 1)).toBe(1);
    expect(lock.writing(() => 2)).toBe(2);
    expect(lock.idle).toBe(true);
    expect(lock.busy).toBe(false);
  });

  it('is free again after work that throws or rejects', async () => {
    const lock = new RwLock();
    const error = new Error('no');
    const fail = () => {
      throw error;
    };
    expect(() => lock.reading(fail)).toThrow(error);
    expect(() => lock.writing(fail)).toThrow(error);
    await expect(lock.reading(() => Promise.reject(error))).rejects.toBe(error);
    await expect(lock.writing(() => Promise.reject(error))).rejects.toBe(error);
    expect(lock.idle).toBe(true);
  });
});

describe('several requests', () => {
  it('share the lock for reading', async () => {
    const lock = new RwLock();
    const log: string[] = [];
    const readers = ['a', 'b', 'c'].map((name) => hold(lock, 'reading', name, log));
    expect(log).toEqual(['a', 'b', 'c']);
    expect(lock.idle).toBe(false);
    expect(lock.busy).toBe(false);
    for (const { end } of readers) end();
    await Promise.all(readers.map(({ done }) => done));
    expect(lock.idle).toBe(true);
  });

  it('write one after the other, also if synchronous', async () => {
    const lock = new RwLock();
    const log: string[] = [];
    const first = hold(lock, 'writing', 'first', log);
    const second = lock.writing(() => log.push('second'));
    const third = lock.reading(() => log.push('third'));
    expect(log).toEqual(['first']);
    expect(lock.busy).toBe(true);
    first.end();
    await Promise.all([first.done, second, third]);
    expect(log).toEqual(['first', 'second', 'third']);
    expect(lock.idle).toBe(true);
  });

  it('get the lock in the order of arrival: a reader that comes after a waiting writer waits for it', async () => {
    const lock = new RwLock();
    const log: string[] = [];
    const reader = hold(lock, 'reading', 'reader', log);
    const writer = hold(lock, 'writing', 'writer', log);
    const late = [hold(lock, 'reading', 'late 1', log), hold(lock, 'reading', 'late 2', log)];
    const last = hold(lock, 'writing', 'last', log);
    await settle();
    expect(log).toEqual(['reader']);
    reader.end();
    await settle();
    expect(log).toEqual(['reader', 'writer']);
    writer.end();
    await settle();
    expect(log).toEqual(['reader', 'writer', 'late 1', 'late 2']);
    late[0]!.end();
    await settle();
    expect(log).toHaveLength(4);
    late[1]!.end();
    await settle();
    expect(log.at(-1)).toBe('last');
    last.end();
    await last.done;
    expect(lock.idle).toBe(true);
  });

  it('continue after one of them fails', async () => {
    const lock = new RwLock();
    const error = new Error('no');
    const failing = Promise.resolve(lock.writing(() => settle().then(() => Promise.reject(error))));
    const next = lock.writing(() => 'next');
    await expect(failing).rejects.toBe(error);
    expect(await next).toBe('next');
  });
});

describe('an abort', () => {
  it('ends the wait of a reader, and those behind it continue', async () => {
    const lock = new RwLock();
    const log: string[] = [];
    const controller = new AbortController();
    const reader = hold(lock, 'reading', 'reader', log);
    const writer = hold(lock, 'writing', 'writer', log);
    const waiting = hold(lock, 'reading', 'aborted', log, controller.signal);
    const other = hold(lock, 'reading', 'other', log);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting.done).rejects.toBe(reason);
    reader.end();
    writer.end();
    await settle();
    expect(log).toEqual(['reader', 'writer', 'other']);
    other.end();
    await other.done;
    expect(lock.idle).toBe(true);
  });

  it('lets in the readers that waited behind an aborted first in the queue', async () => {
    const lock = new RwLock();
    const log: string[] = [];
    const controller = new AbortController();
    const writer = hold(lock, 'writing', 'writer', log);
    const waiting = hold(lock, 'reading', 'aborted', log, controller.signal);
    const other = hold(lock, 'reading', 'other', log);
    controller.abort();
    await expect(waiting.done).rejects.toBe(controller.signal.reason);
    writer.end();
    other.end();
    expect(await other.done).toBe('other');
    expect(log).toEqual(['writer', 'other']);
  });

  it('of a reader that has the lock changes nothing', async () => {
    const lock = new RwLock();
    const log: string[] = [];
    const controller = new AbortController();
    const writer = hold(lock, 'writing', 'writer', log);
    const reader = hold(lock, 'reading', 'reader', log, controller.signal);
    writer.end();
    await settle();
    controller.abort();
    reader.end();
    expect(await reader.done).toBe('reader');
    expect(lock.idle).toBe(true);
  });
});

describe('abandoning the readers', () => {
  it('lets a writer in at once, and they reject with the reason when they end', async () => {
    const lock = new RwLock();
    const log: string[] = [];
    const readers = ['a', 'b'].map((name) => hold(lock, 'reading', name, log));
    const writer = hold(lock, 'writing', 'writer', log);
    const reason = new Error('the image was closed');
    lock.abandonReaders(reason);
    await settle();
    expect(log).toEqual(['a', 'b', 'writer']);
    for (const { end } of readers) end();
    for (const { done } of readers) await expect(done).rejects.toBe(reason);
    // They no longer count: the writer still has the lock alone.
    const late = hold(lock, 'reading', 'late', log);
    await settle();
    expect(log).not.toContain('late');
    writer.end();
    late.end();
    expect(await late.done).toBe('late');
    expect(lock.idle).toBe(true);
  });

  it('keeps the error of a reader that fails by itself', async () => {
    const lock = new RwLock();
    const error = new Error('the source failed');
    const reading = lock.reading(() => settle().then(() => Promise.reject(error)));
    lock.abandonReaders(new Error('the image was closed'));
    await expect(reading).rejects.toBe(error);
    expect(lock.idle).toBe(true);
  });
});
