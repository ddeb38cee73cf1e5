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
  it('returns undefined for no parts, and for synchronous parts', () => {
    expect(all([])).toBeUndefined();
    expect(all([() => undefined, () => undefined])).toBeUndefined();
  });

  it('starts every part, and waits for the promises', async () => {
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

  it('throws synchronously if all parts are synchronous, after all of them', () => {
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
  it('runs the next step synchronously, or when the promise is fulfilled, but not when it rejects', async () => {
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
  it('converts every thenable to a promise of this realm, and everything else to undefined', async () => {
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

  it('rejects with the reason when the signal aborts before or during the wait', async () => {
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

  it('returns synchronously when there is nothing to wait for', () => {
    const log: string[] = [];
    expect(run(steps([undefined, undefined], log))).toBe('done');
    expect(log).toEqual(['0', '1']);
    expect(run(steps([], log))).toBe('done');
  });

  it('returns a promise when a step has to wait', async () => {
    const log: string[] = [];
    const running = run(steps([undefined, Promise.resolve(), undefined, Promise.resolve()], log));
    expect(log).toEqual(['0']);
    expect(running).toBeInstanceOf(Promise);
    expect(await running).toBe('done');
    expect(log).toEqual(['0', '1', '2', '3']);
  });

  it('throws a rejection into the steps, which can catch it', async () => {
    const log: string[] = [];
    expect(await run(steps([Promise.reject(error), undefined], log))).toBe('done');
    await expect(run(steps([undefined, Promise.reject(error)], log))).rejects.toBe(error);
    expect(log).toEqual(['0 failed', '1', '0', '1 failed']);
  });

  it('throws synchronously what the steps throw synchronously', () => {
    function* broken(): Steps {
      yield undefined;
      fail();
    }
    expect(() => run(broken())).toThrow(error);
  });
});
