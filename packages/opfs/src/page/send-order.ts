/** Keeps the requests of one image in the order of the calls while one of them is sent in several messages. */
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';

/** How many messages of one request are under way at once: one crosses while another is worked on. */
const WINDOW = 2;

/** The requests of one image that have still to be sent. */
export class SendOrder {
  /** Ends when every request so far has been sent; null when the next can be sent at once. */
  #last: Promise<void> | null = null;
  /** Aborts when nothing more is to be sent. */
  readonly #ended = new AbortController();
  /** How many messages of requests in several were answered. */
  #answered = 0;

  /**
   * Sends a request of one message: at once, unless requests before it have still to be sent. An abort ends that wait.
   */
  run<T>(send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    if (before === null) return send();
    let answer: Promise<T> | null = null;
    const sent = this.#turn(before, signal).then(() => {
      answer = send();
      answer.catch(() => {});
    });
    this.#hold(before, sent);
    return sent.then(() => answer!);
  }

  /**
   * Sends a request of several messages; later requests wait until `work` has ended. An abort ends the wait before it.
   */
  alone<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    const running = before === null ? work() : this.#turn(before, signal).then(work);
    this.#hold(before, running);
    return running;
  }

  /**
   * Sends the messages of one request in order, no more than two ahead of their answers, and stops at the first that
   * fails. The one behind that may be under way already.
   *
   * @throws what the first that failed threw, once those under way have ended; at once when `prompt` is set.
   */
  async sendAll(messages: Iterable<() => Promise<void>>, prompt: boolean): Promise<void> {
    const running: Promise<void>[] = [];
    try {
      for (const send of messages) {
        this.#ended.signal.throwIfAborted();
        const sent = send().then(() => {
          this.#answered++;
        });
        sent.catch(() => {});
        running.push(sent);
        if (running.length === WINDOW) await running.shift();
      }
      await Promise.all(running);
    } catch (error) {
      if (!prompt) await Promise.allSettled(running);
      throw error;
    }
  }

  /**
   * Resolves when every request so far has been sent, or, with a limit, when for so many milliseconds no message was
   * answered. What has not been sent then rejects with `closed`.
   */
  async end(limit: number | null): Promise<void> {
    while (this.#last !== null) {
      const before = this.#answered;
      const spent = await within(this.#last, limit);
      if (spent && this.#answered === before) break;
    }
    this.#ended.abort(new Qcow2Error('closed', 'The image was closed.'));
  }

  /** Resolves after `before`. Rejects at once when the signal aborts, or nothing more is to be sent. */
  #turn(before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stops = signal === undefined ? [this.#ended.signal] : [signal, this.#ended.signal];
      const ignores = stops.map((stop) => onAbort(stop, () => reject(stop.reason)));
      before.then(() => {
        for (const ignore of ignores) ignore();
        resolve();
      });
    });
  }

  /** Later requests wait for `before`, and then for `work`: work that was given up does not let them overtake. */
  #hold(before: Promise<void> | null, work: Promise<unknown>): void {
    const last = Promise.allSettled([before, work]).then(() => {
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
  }
}

/** Waits for `work`, for `limit` milliseconds at most where there is one. Whether the limit came first. */
async function within(work: Promise<void>, limit: number | null): Promise<boolean> {
  const done = work.then(() => false);
  if (limit === null) return done;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const spent = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), limit);
  });
  const first = await Promise.race([done, spent]);
  clearTimeout(timer);
  return first;
}
