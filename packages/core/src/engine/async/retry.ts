/** Owns what is tried again: failures that may pass, and how long to wait for that. */
import type { Qcow2Error } from '../../errors.js';
import { onAbort } from './on-abort.js';

/** No wait grows longer than this, ms. */
const LONGEST_WAIT = 10_000;
/** A server that asks for more patience than this is not waited for, ms. */
const MAX_RETRY_AFTER_MS = 60_000;

/** How often and after what time to try again. */
export interface RetryPolicy {
  /** Tries after the first. */
  readonly retries: number;
  /** About how long to wait before the second try, ms; each further wait is twice as long. */
  readonly retryDelay: number;
}

/** Thrown by an attempt that may succeed when it is made again. */
export class TransientError extends Error {
  /** What to throw when the tries are used up; a function finds out then. */
  readonly error: Qcow2Error | ((signal: AbortSignal) => Promise<Qcow2Error>);
  /** How long the server asks to wait, ms; null when it does not say. */
  readonly wait: number | null;

  constructor(error: TransientError['error'], wait: number | null = null) {
    super('The attempt may succeed when it is made again.');
    this.error = error;
    this.wait = wait;
  }
}

/**
 * Makes an attempt until it succeeds or fails for good, with waits between that double.
 *
 * @throws what the attempt throws, and the error of a {@link TransientError} once the tries are used up; the signal's
 *   reason
 */
export async function withRetries<T>(attempt: () => Promise<T>, policy: RetryPolicy, signal: AbortSignal): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      if (tries >= policy.retries || (error.wait ?? 0) > MAX_RETRY_AFTER_MS) {
        throw typeof error.error === 'function' ? await error.error(signal) : error.error;
      }
      await sleep(error.wait ?? backoff(policy.retryDelay, tries), signal);
    }
  }
}

/** Half of it by chance, so that readers who failed together do not come back together. */
function backoff(delay: number, tries: number): number {
  return Math.min(LONGEST_WAIT, delay * 2 ** tries) * (0.5 + Math.random() / 2);
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      ignore();
      resolve();
    }, milliseconds);
    const ignore = onAbort(signal, stop);
  });
}
