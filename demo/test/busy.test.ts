import { afterEach, describe, expect, it, vi } from 'vitest';
import { whileBusy } from '../src/engine/busy.js';

/** A window as far as the question before leaving needs one. */
function stubWindow(): EventTarget {
  const window = new EventTarget();
  vi.stubGlobal('window', window);
  return window;
}

/** What a browser does before it leaves; Node's events have no returnValue that can be set. */
function asks(window: EventTarget): boolean {
  const event = new Event('beforeunload', { cancelable: true });
  Object.defineProperty(event, 'returnValue', { value: '', writable: true });
  return !window.dispatchEvent(event);
}

describe('leaving the page', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('asks for confirmation while any work runs, however it ends', async () => {
    const window = stubWindow();
    const end: (() => void)[] = [];
    const fail: (() => void)[] = [];
    const work = (): Promise<void> =>
      whileBusy(
        new Promise((resolve, reject) => {
          end.push(resolve);
          fail.push(() => reject(new Error('no')));
        }),
      );
    expect(asks(window)).toBe(false);
    const first = work();
    const second = work();
    expect(asks(window)).toBe(true);
    end[0]?.();
    await first;
    expect(asks(window)).toBe(true);
    fail[1]?.();
    await expect(second).rejects.toThrow('no');
    expect(asks(window)).toBe(false);
  });
});
