/** Keeps the requests of one image in call order while one of them is sent in several messages. */
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';

/** How many messages of one request are pending at once: one is transferred while another is processed. */
const MAX_PENDING = 2;

/** The requests of one image that are not sent yet. */
export class SendOrder {
  /** Resolves when every request so far has been sent; null when the next can be sent immediately. */
  #last: Promise<void> | null = null;
  /** Aborts when nothing more may be sent. */
  readonly #ended = new AbortController();
  /** Number of responses to messages of multi-message requests. */
  #responses = 0;

  /** Sends a request of one message: immediately, unless earlier requests are not sent yet. An abort ends that wait. */
  run<T>(send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const previous = this.#last;
    if (previous === null) return send();
    let result: Promise<T> | null = null;
    const sent = this.#waitFor(previous, signal).then(() => {
      result = send();
      result.catch(() => {});
    });
    this.#append(previous, sent);
    return sent.then(() => result!);
  }

  /**
   * Sends a request of several messages. Later requests wait until `work` has ended. An abort ends the wait before it.
   */
  runExclusive<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const previous = this.#last;
    const running = previous === null ? work() : this.#waitFor(previous, signal).then(work);
    this.#append(previous, running);
    return running;
  }

  /**
   * Sends the messages of one request in order, at most two pending, and stops at the first that fails. The message
   * after it may be pending already.
   *
   * @throws the error of the first that failed, once the pending ones have ended; immediately when `prompt` is set.
   */
  async sendAll(messages: Iterable<() => Promise<void>>, prompt: boolean): Promise<void> {
    const running: Promise<void>[] = [];
    try {
      for (const send of messages) {
        this.#ended.signal.throwIfAborted();
        const sent = send().then(() => {
          this.#responses++;
        });
        sent.catch(() => {});
        running.push(sent);
        if (running.length === MAX_PENDING) await running.shift();
      }
      await Promise.all(running);
    } catch (error) {
      if (!prompt) await Promise.allSettled(running);
      throw error;
    }
  }

  /**
   * Resolves when every request so far has been sent, or when no response arrived for `limit` milliseconds.
   * Requests not sent by then reject with `closed`.
   */
  async end(limit: number | null): Promise<void> {
    while (this.#last !== null) {
      const responses = this.#responses;
      const timedOut = await exceeds(this.#last, limit);
      if (timedOut && this.#responses === responses) break;
    }
    this.#ended.abort(new Qcow2Error('closed', 'The image was closed.'));
  }

  /** Resolves after `before`. Rejects immediately when the signal aborts or nothing more may be sent. */
  #waitFor(previous: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stops = signal === undefined ? [this.#ended.signal] : [signal, this.#ended.signal];
      const removals = stops.map((stop) => onAbort(stop, () => reject(stop.reason)));
      previous.then(() => {
        for (const removeListener of removals) removeListener();
        resolve();
      });
    });
  }

  /** Makes later requests wait for `before`, then for `work`, so that they cannot overtake abandoned work. */
  #append(previous: Promise<void> | null, work: Promise<unknown>): void {
    const last = Promise.allSettled([previous, work]).then(() => {
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
  }
}

/** Waits for `work`, at most `limit` milliseconds if it is not null. Returns whether the limit came first. */
async function exceeds(work: Promise<void>, limit: number | null): Promise<boolean> {
  const done = work.then(() => false);
  if (limit === null) return done;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), limit);
  });
  const first = await Promise.race([done, timeout]);
  clearTimeout(timer);
  return first;
}
