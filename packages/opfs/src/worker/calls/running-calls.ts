/** Tracks the calls running in the worker: aborts them and turns their results into responses. */
import type { Outcome } from '../../protocol/messages.js';
import { toWireError } from '../../protocol/wire-error.js';

/** The running calls of one worker, by the page's number. */
export class RunningCalls {
  readonly #controllers = new Map<number, AbortController>();
  readonly #running = new Set<Promise<unknown>>();

  /** Runs a call. The promise never rejects: errors become data. */
  run<T>(call: number, work: (signal: AbortSignal) => Promise<T>): Promise<Outcome<T>> {
    const controller = new AbortController();
    this.#controllers.set(call, controller);
    const outcome = outcomeOf(() => work(controller.signal)).finally(() => {
      this.#controllers.delete(call);
      this.#running.delete(outcome);
    });
    this.#running.add(outcome);
    return outcome;
  }

  /** Aborts a call. Does nothing when it has ended. The page has the real reason and throws it. */
  abort(call: number): void {
    this.#controllers.get(call)?.abort();
  }

  /** Aborts every call. Resolves when each has cleaned up and responded, or after `limit` milliseconds. */
  async abortAll(limit: number): Promise<void> {
    for (const controller of this.#controllers.values()) controller.abort();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limit);
    });
    await Promise.race([this.settled(), timeout]);
    clearTimeout(timer);
  }

  /** Resolves when no call runs. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}

/** The result or error of the work as an outcome. */
export async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: toWireError(error) };
  }
}
