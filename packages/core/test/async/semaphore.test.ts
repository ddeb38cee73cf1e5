/** The semaphore: so many pieces of work at once, the others in the order of their arrival. */
import { describe, expect, it } from 'vitest';
import { Semaphore } from '../../src/engine/async/semaphore.js';
import { type Deferred, deferred } from '../support/deferred.js';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const never = new AbortController().signal;

/** Work by name that ends when the test says so; `running` has what has begun and not ended. */
class Bench {
  readonly begun: string[] = [];
  readonly running: Set<string> = new Set();
  readonly #semaphore: Semaphore;
  readonly #ends = new Map<string, Deferred<void>>();

  constructor(count: number) {
    this.#semaphore = new Semaphore(count);
  }

  start(name: string, signal: AbortSignal = never): Promise<string> {
    return this.#semaphore.run(async () => {
      const end = deferred();
      this.#ends.set(name, end);
      this.begun.push(name);
      this.running.add(name);
      await end.promise.finally(() => this.running.delete(name));
      return name;
    }, signal);
  }

  async end(name: string, error?: Error): Promise<void> {
    const end = this.#ends.get(name)!;
    if (error === undefined) end.resolve();
    else end.reject(error);
    await settle();
  }
}

describe.each([1, 3])('with a count of %i', (count) => {
  it('runs as many at once, and the others in order of arrival', async () => {
    const bench = new Bench(count);
    const names = Array.from({ length: count + 3 }, (_, index) => `work ${index}`);
    const all = names.map((name) => bench.start(name));
    await settle();
    expect([...bench.running]).toEqual(names.slice(0, count));
    for (const name of names) {
      await bench.end(name);
      expect(bench.running.size).toBeLessThanOrEqual(count);
    }
    expect(bench.begun).toEqual(names);
    expect(await Promise.all(all)).toEqual(names);
    // There are no more places than before.
    const again = names.map((name) => bench.start(`${name} again`));
    await settle();
    expect(bench.running.size).toBe(count);
    for (const name of names) await bench.end(`${name} again`);
    await Promise.all(again);
  });

  it('passes on after work that fails', async () => {
    const bench = new Bench(count);
    const names = Array.from({ length: count }, (_, index) => `work ${index}`);
    const all = names.map((name) => bench.start(name));
    const next = bench.start('next');
    const error = new Error('no');
    const failed = expect(all[0]).rejects.toBe(error);
    await bench.end('work 0', error);
    await failed;
    expect(bench.running).toContain('next');
    for (const name of [...names.slice(1), 'next']) await bench.end(name);
    expect(await next).toBe('next');
  });
});

describe('an abort', () => {
  it('before the call starts nothing', async () => {
    const bench = new Bench(1);
    const reason = new Error('enough');
    await expect(bench.start('aborted', AbortSignal.abort(reason))).rejects.toBe(reason);
    const work = bench.start('work');
    await settle();
    await bench.end('work');
    expect(await work).toBe('work');
    expect(bench.begun).toEqual(['work']);
  });

  it('during the wait ends it, and the next one in the queue runs', async () => {
    const bench = new Bench(1);
    const controller = new AbortController();
    const first = bench.start('first');
    const aborted = bench.start('aborted', controller.signal);
    const next = bench.start('next');
    await settle();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await bench.end('first');
    expect([...bench.running]).toEqual(['next']);
    await bench.end('next');
    expect(await Promise.all([first, next])).toEqual(['first', 'next']);
    expect(bench.begun).toEqual(['first', 'next']);
  });

  it('during the work does not end the work early', async () => {
    const bench = new Bench(1);
    const controller = new AbortController();
    const first = bench.start('first', controller.signal);
    const second = bench.start('second');
    await settle();
    controller.abort();
    await settle();
    expect([...bench.running]).toEqual(['first']);
    await bench.end('first');
    expect([...bench.running]).toEqual(['second']);
    await bench.end('second');
    expect(await Promise.all([first, second])).toEqual(['first', 'second']);
  });
});
