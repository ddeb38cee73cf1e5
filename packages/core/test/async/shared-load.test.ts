/** Work that several callers wait for: it ends with the last of them, and not before. */
import { describe, expect, it } from 'vitest';
import { SharedLoad } from '../../src/engine/async/shared-load.js';
import { deferred } from '../support/deferred.js';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A load that the test ends, with what it has seen. */
function started() {
  const end = deferred();
  const seen = { closed: 0, signal: null as AbortSignal | null };
  const load = new SharedLoad(
    (signal) => {
      seen.signal = signal;
      return end.promise;
    },
    () => seen.closed++,
  );
  return { load, end, seen };
}

describe('a load', () => {
  it('that is synchronous has ended, and does not call closed', async () => {
    let closed = 0;
    const load = new SharedLoad(
      () => undefined,
      () => closed++,
    );
    expect(load.ended).toBe(true);
    await load.wait(undefined);
    expect(closed).toBe(0);
  });

  it('that throws synchronously throws from the constructor', () => {
    const error = new Error('no');
    const start = () => {
      throw error;
    };
    expect(() => new SharedLoad(start, () => {})).toThrow(error);
  });

  it('ends for each of its callers, and is closed once', async () => {
    const { load, end, seen } = started();
    const callers = [load.wait(undefined), load.wait(new AbortController().signal), load.wait(undefined)];
    expect(load.ended).toBe(false);
    end.resolve();
    await Promise.all(callers);
    expect(load.ended).toBe(true);
    expect(seen).toMatchObject({ closed: 1, signal: { aborted: false } });
  });

  it('that fails fails for each of its callers', async () => {
    const { load, end, seen } = started();
    const error = new Error('no');
    const callers = [load.wait(undefined), load.wait(undefined)];
    const expected = callers.map((caller) => expect(caller).rejects.toBe(error));
    end.reject(error);
    await Promise.all(expected);
    expect(seen.closed).toBe(1);
  });

  it('that fails with no caller left is no unhandled rejection', async () => {
    const { load, end } = started();
    end.reject(new Error('no'));
    await settle();
    expect(load.ended).toBe(true);
  });
});

describe('an abort', () => {
  it('of one of several callers ends its wait alone', async () => {
    const { load, end, seen } = started();
    const controller = new AbortController();
    const leaving = load.wait(controller.signal);
    const staying = load.wait(undefined);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    expect(seen).toMatchObject({ closed: 0, signal: { aborted: false } });
    end.resolve();
    await staying;
  });

  it('of the last caller aborts the work, once it is closed to others', async () => {
    const { load, seen } = started();
    const controllers = [new AbortController(), new AbortController()];
    const callers = controllers.map(({ signal }) => load.wait(signal));
    const closedAt: number[] = [];
    seen.signal!.addEventListener('abort', () => closedAt.push(seen.closed));
    for (const [index, controller] of controllers.entries()) {
      expect(seen.signal!.aborted).toBe(false);
      controller.abort(index);
      await expect(callers[index]).rejects.toBe(index);
    }
    expect(seen.signal!.aborted).toBe(true);
    expect(closedAt).toEqual([1]);
  });

  it('before the call rejects with the reason', async () => {
    const { load, end } = started();
    const staying = load.wait(undefined);
    await expect(load.wait(AbortSignal.abort('enough'))).rejects.toBe('enough');
    end.resolve();
    await staying;
  });
});
