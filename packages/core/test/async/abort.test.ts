/** Following abort signals: one listener for all that is done with a signal, and a signal that follows several. */
import { describe, expect, it, vi } from 'vitest';
import { linkedAbort } from '../../src/engine/async/linked-abort.js';
import { onAbort } from '../../src/engine/async/on-abort.js';

describe('onAbort', () => {
  it('calls each listener once, in order, when the signal aborts', () => {
    const controller = new AbortController();
    const calls: string[] = [];
    for (const name of ['a', 'b', 'c']) onAbort(controller.signal, () => calls.push(name));
    expect(calls).toEqual([]);
    controller.abort();
    controller.abort();
    expect(calls).toEqual(['a', 'b', 'c']);
  });

  it('adds one listener to the signal, however many are registered', () => {
    const { signal } = new AbortController();
    const adding = vi.spyOn(signal, 'addEventListener');
    for (let count = 0; count < 100; count++) onAbort(signal, () => {});
    expect(adding).toHaveBeenCalledTimes(1);
  });

  it('does not call a removed listener, also if an earlier one removed it', () => {
    const controller = new AbortController();
    const calls: string[] = [];
    const ignore = onAbort(controller.signal, () => calls.push('taken back'));
    onAbort(controller.signal, () => ignoreLast());
    const ignoreLast = onAbort(controller.signal, () => calls.push('taken back meanwhile'));
    ignore();
    ignore();
    controller.abort();
    expect(calls).toEqual([]);
  });

  it('does not call a listener of a signal that is aborted already', () => {
    const act = vi.fn();
    onAbort(AbortSignal.abort(), act);
    expect(act).not.toHaveBeenCalled();
  });

  it('throws for a value that is not a signal, each time', () => {
    const wrong = {} as AbortSignal;
    for (let time = 0; time < 2; time++) expect(() => onAbort(wrong, () => {})).toThrow(TypeError);
  });
});

describe('linkedAbort', () => {
  it('aborts with the reason of the first signal that aborts', () => {
    const controllers = [new AbortController(), new AbortController()];
    const { signal } = linkedAbort(undefined, ...controllers.map(({ signal }) => signal));
    expect(signal.aborted).toBe(false);
    const reason = { any: 'value' };
    controllers[1]!.abort(reason);
    controllers[0]!.abort('later');
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(reason);
  });

  it('is aborted from the start if a signal is, with the reason of the first of those', () => {
    const { signal } = linkedAbort(
      new AbortController().signal,
      AbortSignal.abort('first'),
      AbortSignal.abort('second'),
    );
    expect(signal.reason).toBe('first');
  });

  it('can be aborted itself, and keeps its first reason', () => {
    const other = new AbortController();
    const link = linkedAbort(other.signal);
    link.abort('own');
    other.abort('other');
    expect(link.signal.reason).toBe('own');
    const second = new AbortController();
    linkedAbort(second.signal).abort('own');
    expect(second.signal.aborted).toBe(false);
  });

  it('does not follow the signals after its release, but can be aborted', () => {
    const other = new AbortController();
    const link = linkedAbort(other.signal);
    link.release();
    other.abort();
    expect(link.signal.aborted).toBe(false);
    link.abort('own');
    expect(link.signal.reason).toBe('own');
  });

  it('without signals is aborted only by its own abort', () => {
    const link = linkedAbort(undefined);
    expect(link.signal.aborted).toBe(false);
    link.abort('own');
    link.release();
    expect(link.signal.reason).toBe('own');
  });
});
