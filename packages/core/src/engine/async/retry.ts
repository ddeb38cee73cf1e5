/** Retries attempts that failed with a transient error, with exponential backoff. */
import type { Qcow2Error } from '../../errors.js';
import { onAbort } from './on-abort.js';

/** Upper limit of the backoff, ms. */
const MAX_WAIT_MS = 10_000;
/** A request is not retried when the server's `Retry-After` is longer than this, ms. */
const MAX_RETRY_AFTER_MS = 60_000;

/** How many retries there are, and after what time. */
export interface RetryPolicy {
  /** Attempts after the first. */
  readonly retries: number;
  /** About how long to wait before the second attempt, ms; each further wait is twice as long. */
  readonly retryDelay: number;
}

/** Thrown by an attempt that may succeed when it is retried. */
export class TransientError extends Error {
  /** The error to throw when the retries are used up; a function makes it then. */
  readonly error: Qcow2Error | ((signal: AbortSignal) => Promise<Qcow2Error>);
  /** The wait in the server's `Retry-After`, ms; null when it sent none. */
  readonly wait: number | null;

  constructor(error: TransientError['error'], wait: number | null = null) {
    super('The attempt may succeed when it is made again.');
    this.error = error;
    this.wait = wait;
  }
}

/**
 * Repeats an attempt until it succeeds or fails with another error, with waits that double.
 *
 * @throws what the attempt throws, and the error of a {@link TransientError} once the retries are used up; the signal's
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

/** Half of it is random jitter, so that readers that failed together do not retry together. */
function backoff(delay: number, tries: number): number {
  return Math.min(MAX_WAIT_MS, delay * 2 ** tries) * (0.5 + Math.random() / 2);
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      removeListener();
      resolve();
    }, milliseconds);
    const removeListener = onAbort(signal, stop);
  });
}
