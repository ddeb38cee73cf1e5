/** Runs work in steps: synchronously on a synchronous device, else with a promise. */
import type { Done } from '../../api/device.js';

/** Work that yields what it waits for. One implementation serves synchronous and asynchronous devices. */
export type Steps<T = void> = Generator<Done, T, undefined>;

/** Runs the steps to their end; returns a promise only when one of them returned one. */
export function run<T>(steps: Steps<T>): T | Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (step.value !== undefined) return goOn(steps, step.value);
  }
}

async function goOn<T>(steps: Steps<T>, first: Promise<void>): Promise<T> {
  for (let waiting: Done = first; ; ) {
    let failure: { reason: unknown } | null = null;
    try {
      await waiting;
    } catch (reason) {
      failure = { reason };
    }
    const step = failure === null ? steps.next() : steps.throw(failure.reason);
    if (step.done) return step.value;
    waiting = step.value;
  }
}
