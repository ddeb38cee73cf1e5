/** Keeps the requests of one image in call order while one of them is sent in several messages. */
import { Qcow2Error } from 'qcow2';
import { onAbort } from 'qcow2/internal';

/** How many messages of one request are pending at once: one is transferred while another is processed. */
const WINDOW = 2;

/** The requests of one image that are not sent yet. */
export class SendOrder {
  /** Resolves when every request so far has been sent; null when the next can be sent immediately. */
  #last: Promise<void> | null = null;
  /** Aborts when nothing more may be sent. */
  readonly #ended = new AbortController();
  /** Number of responses to messages of multi-message requests. */
  #answered = 0;

  /** Sends a request of one message: immediately, unless earlier requests are not sent yet. An abort ends that wait. */
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
   * Sends a request of several messages. Later requests wait until `work` has ended. An abort ends the wait before it.
   */
  alone<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    const running = before === null ? work() : this.#turn(before, signal).then(work);
    this.#hold(before, running);
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
   * Resolves when every request so far has been sent, or when no message was answered for `limit` milliseconds.
   * Requests not sent by then reject with `closed`.
   */
  async end(limit: number | null): Promise<void> {
    while (this.#last !== null) {
      const before = this.#answered;
      const spent = await within(this.#last, limit);
      if (spent && this.#answered === before) break;
    }
    this.#ended.abort(new Qcow2Error('closed', 'The image was closed.'));
  }

  /** Resolves after `before`. Rejects immediately when the signal aborts or nothing more may be sent. */
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

  /** Makes later requests wait for `before`, then for `work`, so that they cannot overtake abandoned work. */
  #hold(before: Promise<void> | null, work: Promise<unknown>): void {
    const last = Promise.allSettled([before, work]).then(() => {
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
  }
}

/** Waits for `work`, at most `limit` milliseconds if it is not null. Returns whether the limit came first. */
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
