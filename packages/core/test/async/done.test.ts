/** Work that is done at once or promised: joined, awaited, and left by a caller that aborts. */
import { describe, expect, it } from 'vitest';
import { after, all, asPromise, isPromise, settled } from '../../src/engine/async/done.js';
import { run, type Steps } from '../../src/engine/async/steps.js';
import { deferred } from '../support/deferred.js';

const error = new Error('no');
const fail = () => {
  throw error;
};

describe('all', () => {
  it('of nothing, and of parts that are done at once, is done at once', () => {
    expect(all([])).toBeUndefined();
    expect(all([() => undefined, () => undefined])).toBeUndefined();
  });

  it('starts every part, and waits for those that promise', async () => {
    const [first, second] = [deferred(), deferred()];
    const started: number[] = [];
    const parts = [first.promise, undefined, second.promise].map((part, index) => () => {
      started.push(index);
      return part;
    });
    let ended = false;
    const done = Promise.resolve(all(parts)).then(() => {
      ended = true;
    });
    expect(started).toEqual([0, 1, 2]);
    first.resolve();
    await null;
    expect(ended).toBe(false);
    second.resolve();
    await done;
  });

  it('throws at once when nothing must be waited for, after every part', () => {
    let last = false;
    const parts = [
      fail,
      () => {
        last = true;
        return undefined;
      },
    ];
    expect(() => all(parts)).toThrow(error);
    expect(last).toBe(true);
  });

  it('fails with the first failure, once every part has ended', async () => {
    const slow = deferred();
    let ended = false;
    const parts = [
      () => slow.promise.then(() => Promise.reject(new Error('later'))),
      fail,
      () => Promise.reject(new Error('second')),
    ];
    const done = Promise.resolve(all(parts)).catch((reason: unknown) => {
      ended = true;
      return reason;
    });
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(ended).toBe(false);
    slow.resolve();
    expect(await done).toBe(error);
  });
});

describe('after', () => {
  it('goes on at once, or when the promise is kept, and not when it is broken', async () => {
    const steps: string[] = [];
    const next = (name: string) => () => {
      steps.push(name);
      return undefined;
    };
    expect(after(undefined, next('at once'))).toBeUndefined();
    expect(steps).toEqual(['at once']);
    await after(Promise.resolve(), next('later'));
    await expect(after(Promise.reject(error), next('never'))).rejects.toBe(error);
    expect(steps).toEqual(['at once', 'later']);
  });
});

describe('asPromise', () => {
  it('makes a promise of this realm of whatever has then, and nothing of the rest', async () => {
    // biome-ignore lint/suspicious/noThenProperty: it is what libraries return
    const thenable = { then: (resolve: () => void) => resolve() } as never;
    expect(asPromise(thenable)).toBeInstanceOf(Promise);
    await asPromise(thenable);
    // biome-ignore lint/suspicious/noThenProperty: it is no function
    for (const value of [undefined, null, 0, 'text', {}, { then: 1 }]) {
      expect(isPromise(value)).toBe(false);
      expect(asPromise(value as never)).toBeUndefined();
    }
  });
});

describe('settled', () => {
  it('waits for the work without a signal, and with one that does not abort', async () => {
    await settled(Promise.resolve(1), undefined);
    await settled(Promise.resolve(1), new AbortController().signal);
    await expect(settled(Promise.reject(error), undefined)).rejects.toBe(error);
    await expect(settled(Promise.reject(error), new AbortController().signal)).rejects.toBe(error);
  });

  it('ends with the reason when the signal aborts before, or during the wait', async () => {
    const endless = new Promise<void>(() => {});
    await expect(settled(endless, AbortSignal.abort('before'))).rejects.toBe('before');
    const controller = new AbortController();
    const waiting = settled(endless, controller.signal);
    controller.abort('meanwhile');
    await expect(waiting).rejects.toBe('meanwhile');
  });
});

describe('run', () => {
  function* steps(waits: readonly (Promise<void> | undefined)[], log: string[]): Steps<string> {
    for (const [index, wait] of waits.entries()) {
      try {
        yield wait;
        log.push(`${index}`);
      } catch (reason) {
        log.push(`${index} failed`);
        if (index > 0) throw reason;
      }
    }
    return 'done';
  }

  it('returns at once when nothing is to be waited for', () => {
    const log: string[] = [];
    expect(run(steps([undefined, undefined], log))).toBe('done');
    expect(log).toEqual(['0', '1']);
    expect(run(steps([], log))).toBe('done');
  });

  it('promises from the first wait on', async () => {
    const log: string[] = [];
    const running = run(steps([undefined, Promise.resolve(), undefined, Promise.resolve()], log));
    expect(log).toEqual(['0']);
    expect(running).toBeInstanceOf(Promise);
    expect(await running).toBe('done');
    expect(log).toEqual(['0', '1', '2', '3']);
  });

  it('throws a rejection into the steps, which may catch it', async () => {
    const log: string[] = [];
    expect(await run(steps([Promise.reject(error), undefined], log))).toBe('done');
    await expect(run(steps([undefined, Promise.reject(error)], log))).rejects.toBe(error);
    expect(log).toEqual(['0 failed', '1', '0', '1 failed']);
  });

  it('throws at once what the steps throw at once', () => {
    function* broken(): Steps {
      yield undefined;
      fail();
    }
    expect(() => run(broken())).toThrow(error);
  });
});
